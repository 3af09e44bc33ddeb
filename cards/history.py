"""A user's cards and collections as they were at a past moment, from events and present rows.

Everything that existed then either exists now, or has a removal event recorded since then. Its
state then is that of its last event before the moment. If that event has been deleted, and no
change was recorded since, the present row has the state. What neither shows is None.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from accounts.models import User
from api.pagination import FIRST_ID, LAST_ID
from cards.models import Card, Collection, CollectionCard
from eventbook import history
from eventbook.database import execute, first_id_at, seconds_of
from pages.models import Url

# The ids of all that existed then: present rows, and removal events recorded since. Existing
# indexes return both in the order of the page.
KEYS = """
    SELECT id FROM (
        SELECT id FROM cards_{name} WHERE {owner} = %(owner)s
        UNION
        SELECT (data ->> '{name}_id')::uuid FROM eventbook_event
        WHERE type = '{name}.removed' AND id >= %(events_since)s AND recorded_at >= %(moment)s
          AND (data ->> '{owner}')::bigint = %(owner)s
    ) AS there (id)
    WHERE id < %(since)s AND id {comparison} %(after)s
    ORDER BY id {order} LIMIT %(limit)s
"""
PLACED = ("collection.card_added", "collection.card_imported", "collection.card_removed")
ALL = 2**31


@dataclass(frozen=True)
class Kind:
    """A kind of objects whose past is read: cards or collections.

    `name` is in its table, event types and subjects. `owner` is the column with the owner's id, and
    the field of events. `added` are the types of its first event.
    """

    name: str
    owner: str
    added: tuple[str, ...]
    model: type[Card | Collection]


CARDS = Kind("card", "curator_id", ("card.added", "card.imported"), Card)
COLLECTIONS = Kind("collection", "owner_id", ("collection.created",), Collection)


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


@dataclass(frozen=True)
class Trace:
    """What is stored about an object; each part may be missing.

    `first` is the event that added it, `last` its last event before the moment, and `row` its
    present row. `is_changed` says whether it was changed after the moment.
    """

    id: UUID
    first: Any
    last: Any
    row: Any
    is_changed: bool

    def past(self, **fields: Any) -> Past:
        """Return the object at the moment, with these further fields."""
        added = self.first.recorded_at if self.first else None
        return Past(
            id=self.id,
            created_at=added or datetime.fromtimestamp(seconds_of(self.id), UTC),
            updated_at=self.last.recorded_at if self.last else self._unchanged("updated_at"),
            visibility=self.value("visibility"),
            **fields,
        )

    def value(self, field: str) -> Any:
        """Return a field's value at the moment; None if it is not known."""
        # The first events of collections did not record the visibility.
        return self.last.data.get(field) if self.last else self._unchanged(field)

    def _unchanged(self, field: str) -> Any:
        return getattr(self.row, field) if self.row and not self.is_changed else None


def cards_at(
    owner: User, moment: datetime, after: UUID | None, *, descending: bool, limit: int
) -> list[Past]:
    """Return a page of the cards that a user had at a moment; raise HistoryPruned."""
    ids = keys_at(CARDS, owner, moment, after, descending=descending, limit=limit)
    traces = _traces(CARDS, ids, moment)
    known = Url.objects.filter(pk__in={trace.value("url_id") for trace in traces})
    pages = dict(known.values_list("pk", "canonical"))
    places = places_at(owner, moment, cards=ids)
    return [
        trace.past(
            # A card's type never changes.
            type=trace.row.type if trace.row else trace.first and trace.first.data["card_type"],
            canonical_url=pages.get(trace.value("url_id")),
            collections=places[str(trace.id)],
        )
        for trace in traces
    ]


def collections_at(
    owner: User, moment: datetime, after: UUID | None, *, descending: bool, limit: int
) -> list[Past]:
    """Return a page of the collections that a user had at a moment; raise HistoryPruned."""
    ids = keys_at(COLLECTIONS, owner, moment, after, descending=descending, limit=limit)
    return [trace.past() for trace in _traces(COLLECTIONS, ids, moment)]


def keys_at(
    kind: Kind,
    owner: User,
    moment: datetime,
    after: UUID | None = None,
    *,
    descending: bool = True,
    limit: int = ALL,
) -> list[UUID]:
    """Return the ids of the cards or collections that a user had at a moment, in page order.

    The page begins after the id `after`. Raise HistoryPruned if events since that moment may have
    been deleted.
    """
    history.require_kept(moment)
    direction = (
        {"comparison": "<", "order": "DESC"} if descending else {"comparison": ">", "order": "ASC"}
    )
    parameters = {
        "owner": owner.pk,
        "since": first_id_at(moment + history.MILLISECOND),
        "events_since": first_id_at(moment - history.CLOCK_ERROR),
        "moment": moment + history.MILLISECOND,
        "after": after or (LAST_ID if descending else FIRST_ID),
        "limit": limit,
    }
    statement = KEYS.format(name=kind.name, owner=kind.owner, **direction)
    return [id for (id,) in execute(statement, parameters, prepare=False).rows]


def _traces(kind: Kind, ids: Sequence[UUID], moment: datetime) -> list[Trace]:
    """Return what is stored about each object, in the order of the ids."""
    subjects, updated = [f"{kind.name}s/{id}" for id in ids], f"{kind.name}.updated"
    first = history.first(subjects, kind.added)
    last = history.last(moment, subjects, [*kind.added, updated])
    later = history.since(moment, subject__in=subjects, type=updated)
    changed = set(later.values_list("subject", flat=True))
    rows = kind.model._default_manager.in_bulk(ids)  # noqa: SLF001
    return [
        Trace(id, first.get(subject), last.get(subject), rows.get(id), subject in changed)
        for id, subject in zip(ids, subjects, strict=True)
    ]


def places_at(owner: User, moment: datetime, *, cards: Sequence[UUID]) -> dict[str, list[str]]:
    """Return the ids of the owner's collections that each card was in at the moment, by card."""
    collections = keys_at(COLLECTIONS, owner, moment)
    about = {
        "subject__in": [f"collections/{id}" for id in collections],
        "type__in": PLACED,
        "data__card_id__in": [str(id) for id in cards],
    }
    rows = CollectionCard.objects.filter(collection__in=collections, card__in=cards)
    was_in = {(str(row.card_id), str(row.collection_id)): True for row in rows}
    # Undo later events, the newest first, so that the first one after the moment decides.
    later = history.since(moment, **about).order_by("-recorded_at", "-id")
    for subject, type_, card in later.values_list("subject", "type", "data__card_id"):
        was_in[card, subject.removeprefix("collections/")] = type_ == "collection.card_removed"
    # An event until the moment decides rather than any later one, and of these the last.
    earlier = history.until(moment, **about).order_by("recorded_at", "id")
    for subject, type_, card in earlier.values_list("subject", "type", "data__card_id"):
        was_in[card, subject.removeprefix("collections/")] = type_ != "collection.card_removed"
    places = defaultdict(list)
    for card, collection in (pair for pair, is_place in was_in.items() if is_place):
        places[card].append(collection)
    return places
