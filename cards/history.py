"""A user's cards and collections as they were at a past moment, from events and present rows.

Everything that existed then either exists now, or has a removal event recorded since then. Its
state then is that of its last event before the moment. If that event has been deleted, and no
change was recorded since, the present row has the state. What neither shows is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection as Several
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from cards.models import Card, Collection, CollectionCard
from eventbook import history
from eventbook.database import execute, first_id_at, seconds_of
from pages.models import Url

# The ids of all that existed then: present rows, and removal events recorded since. Existing
# indexes return both in the order of the page.
KEYS = """
    SELECT id FROM (
        SELECT id FROM {table} WHERE {owner} = %(owner)s
        UNION
        SELECT (data ->> '{key}')::uuid FROM eventbook_event
        WHERE type = '{removed}' AND id >= %(events_since)s AND recorded_at >= %(moment)s
          AND (data ->> '{owner}')::bigint = %(owner)s
    ) AS there (id)
    WHERE id < %(since)s AND id {beside} %(beside)s
    ORDER BY id {order} LIMIT %(limit)s
"""
CARDS = {
    "table": "cards_card",
    "owner": "curator_id",
    "key": "card_id",
    "removed": "card.removed",
}
COLLECTIONS = {
    "table": "cards_collection",
    "owner": "owner_id",
    "key": "collection_id",
    "removed": "collection.removed",
}
PLACED = ("collection.card_added", "collection.card_imported", "collection.card_removed")
FIRST, LAST = UUID(int=0), UUID(int=2**128 - 1)
ALL = 2**31


@dataclass(frozen=True, kw_only=True)
class Past:
    """A card or a collection as it was at a past moment; None where that is not known."""

    id: UUID
    created_at: datetime
    updated_at: datetime | None = None
    visibility: str | None = None
    type: str | None = None
    canonical_url: str | None = None
    collections: Sequence[str] = ()


def keys_at(
    of: dict[str, str],
    owner: User,
    moment: datetime,
    beside: UUID | None = None,
    *,
    descending: bool = True,
    limit: int = ALL,
) -> list[UUID]:
    """Return the ids of the cards or collections that a user had at a moment, in page order.

    `of` is CARDS or COLLECTIONS. The page begins after the id `beside`. Raise HistoryPruned if
    events since that moment may have been deleted.
    """
    history.require_kept(moment)
    way = {"beside": "<", "order": "DESC"} if descending else {"beside": ">", "order": "ASC"}
    parameters = {
        "owner": owner.pk,
        "since": first_id_at(moment + history.MILLISECOND),
        "events_since": first_id_at(moment - history.CLOCKS),
        "moment": moment + history.MILLISECOND,
        "beside": beside or (LAST if descending else FIRST),
        "limit": limit,
    }
    return [id for (id,) in execute(KEYS.format(**of, **way), parameters, prepare=False).rows]


def cards_at(
    owner: User, moment: datetime, beside: UUID | None, *, descending: bool, limit: int
) -> list[Past]:
    """Return a page of the cards that a user had at a moment; raise HistoryPruned."""
    ids = keys_at(CARDS, owner, moment, beside, descending=descending, limit=limit)
    subjects = {f"cards/{id}": id for id in ids}
    began = history.first(subjects, ["card.added", "card.imported"])
    states = history.last(moment, subjects, ["card.added", "card.imported", "card.updated"])
    changed = _changed(moment, subjects, "card.updated")
    rows = Card.objects.in_bulk(ids)
    told = [_card(id, began, states, rows.get(id), changed) for id in ids]
    pages = _pages(url for _, url in told)
    places = places_at(owner, moment, cards=[str(id) for id in ids])
    return [
        Past(**fields, canonical_url=pages.get(url), collections=places[str(fields["id"])])
        for fields, url in told
    ]


def _card(
    id: UUID, began: Any, states: Any, row: Card | None, changed: Several[str]
) -> tuple[dict[str, Any], int | None]:
    """Return the fields known of a card at the moment, and the id of its page then."""
    subject = f"cards/{id}"
    first, state = began.get(subject), states.get(subject)
    fields: dict[str, Any] = {"id": id, "created_at": first.recorded_at if first else _made(id)}
    fields["type"] = row.type if row else first and first.data["card_type"]
    if state:
        fields |= {"visibility": state.data["visibility"], "updated_at": state.recorded_at}
        return fields, state.data["url_id"]
    if row and subject not in changed:
        return fields | {"visibility": row.visibility, "updated_at": row.updated_at}, row.url_id
    return fields, None


def collections_at(
    owner: User, moment: datetime, beside: UUID | None, *, descending: bool, limit: int
) -> list[Past]:
    """Return a page of the collections that a user had at a moment; raise HistoryPruned."""
    ids = keys_at(COLLECTIONS, owner, moment, beside, descending=descending, limit=limit)
    subjects = {f"collections/{id}": id for id in ids}
    began = history.first(subjects, ["collection.created"])
    states = history.last(moment, subjects, ["collection.created", "collection.updated"])
    changed = _changed(moment, subjects, "collection.updated")
    rows = Collection.objects.in_bulk(ids)
    found = []
    for subject, id in subjects.items():
        first, state, row = began.get(subject), states.get(subject), rows.get(id)
        fields: dict[str, Any] = {}
        if state:
            # The first events did not record the visibility.
            fields = {
                "visibility": state.data.get("visibility"),
                "updated_at": state.recorded_at,
            }
        elif row and subject not in changed:
            fields = {"visibility": row.visibility, "updated_at": row.updated_at}
        created = first.recorded_at if first else _made(id)
        found.append(Past(id=id, created_at=created, **fields))
    return found


def places_at(owner: User, moment: datetime, *, cards: Several[str]) -> dict[str, list[str]]:
    """Return the ids of the owner's collections that each card was in at the moment, by card."""
    collections = keys_at(COLLECTIONS, owner, moment)
    subjects = [f"collections/{id}" for id in collections]
    about = {"subject__in": subjects, "type__in": PLACED, "data__card_id__in": list(cards)}
    stood: dict[tuple[str, str], bool] = {}
    ids = [UUID(card) for card in cards]
    rows = CollectionCard.objects.filter(collection__in=collections, card__in=ids)
    for row in rows:
        stood[str(row.card_id), str(row.collection_id)] = True
    # Undo later events, the newest first, so that the first one after the moment decides.
    later = history.since(moment, **about).order_by("-recorded_at", "-id")
    for subject, type_, card in later.values_list("subject", "type", "data__card_id"):
        stood[card, subject.removeprefix("collections/")] = type_ == "collection.card_removed"
    earlier = history.until(moment, **about).order_by("recorded_at", "id")
    for subject, type_, card in earlier.values_list("subject", "type", "data__card_id"):
        stood[card, subject.removeprefix("collections/")] = type_ != "collection.card_removed"
    places = defaultdict(list)
    for (card, collection), stands in stood.items():
        if stands:
            places[card].append(collection)
    return places


def _changed(moment: datetime, subjects: Several[str], type: str) -> set[str]:
    """Return the subjects that have an event of this type after the moment."""
    return set(
        history.since(moment, subject__in=list(subjects), type=type).values_list(
            "subject", flat=True
        )
    )


def _pages(ids: Iterable[int | None]) -> dict[int | None, str]:
    known = Url.objects.filter(pk__in={id for id in ids if id})
    return dict(known.values_list("pk", "canonical"))


def _made(id: UUID) -> datetime:
    return datetime.fromtimestamp(seconds_of(id), UTC)
