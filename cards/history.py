"""How a library was at a moment, told by the events until then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat

from accounts.models import User
from cards.models import Card, Collection, Url
from events import history
from events.models import Event


def cards_at(owner: User, moment: datetime) -> QuerySet[Event]:
    """This answers the cards that a library had at a moment, each as its first event.

    Raises HistoryPruned where events are not kept.
    """
    removed = history.since(moment, type="card.removed", data__curator_id=owner.pk)
    return history.existing(
        moment,
        subjects=_subjects("cards/", Card.objects.filter(curator=owner), removed),
        began=["card.added", "card.imported"],
        changes=["card.updated"],
        ended="card.removed",
    )


def collections_at(owner: User, moment: datetime) -> QuerySet[Event]:
    """This answers the collections of a library at a moment, each as `collection.created`."""
    removed = history.since(moment, type="collection.removed", data__owner_id=owner.pk)
    return history.existing(
        moment,
        subjects=_subjects("collections/", Collection.objects.filter(owner=owner), removed),
        began=["collection.created"],
        changes=["collection.updated"],
        ended="collection.removed",
    )


def places_at(owner: User, moment: datetime, *, cards: Sequence[str]) -> dict[str, list[str]]:
    """This answers in which of the owner's collections each of these cards stood, by ids."""
    collections = list(collections_at(owner, moment).values_list("subject", flat=True))
    told = history.until(
        moment,
        subject__in=collections,
        type__in=[
            "collection.card_added",
            "collection.card_imported",
            "collection.card_removed",
        ],
        data__card_id__in=cards,
    )
    stood: dict[tuple[str, str], bool] = {}
    for subject, type_, card in told.order_by("id").values_list("subject", "type", "data__card_id"):
        stood[card, subject.removeprefix("collections/")] = type_ != "collection.card_removed"
    places = defaultdict(list)
    for (card, collection), stands in stood.items():
        if stands:
            places[card].append(collection)
    return places


def pages_of(events: Sequence[Event]) -> dict[int, str]:
    """This answers the canonical URLs of the pages that cards were about then, by their ids."""
    ids = {event.state["url_id"] for event in events}  # type: ignore[attr-defined]
    return dict(Url.objects.filter(pk__in=ids - {None}).values_list("pk", "canonical"))


def _subjects(
    prefix: str, present: QuerySet[Any], removed: QuerySet[Event]
) -> QuerySet[Any, dict[str, Any]]:
    # The tables know what is there now, and the events what went since: together that is all that
    # can have been there then, by indexes that exist.
    subject = Concat(Value(prefix), Cast("pk", TextField()), output_field=TextField())
    there = present.annotate(subject=subject).values("subject")
    gone = removed.values("subject")
    either: QuerySet[Any, dict[str, Any]] = there.union(gone)
    return either
