"""The events of cards, collections, pages, imports and web feeds."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from eventbook import event_type


class _AboutCard:
    """Give the events of a card their subject, by which they are found in the event store."""

    __slots__ = ()
    card_id: UUID

    @property
    def subject(self) -> str:
        return f"cards/{self.card_id}"


class _AboutCollection:
    __slots__ = ()
    collection_id: UUID

    @property
    def subject(self) -> str:
        return f"collections/{self.collection_id}"


@event_type("card.added", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CardAdded(_AboutCard):
    card_id: UUID
    curator_id: int
    url_id: int | None
    card_type: str
    visibility: str


@event_type("card.imported", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CardImported(CardAdded):
    """An import added a card. Others learn of all its cards at once, by CardsImported."""

    import_id: UUID


@event_type("card.updated", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CardUpdated(_AboutCard):
    card_id: UUID
    curator_id: int
    url_id: int | None
    visibility: str


@event_type("card.removed", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CardRemoved(_AboutCard):
    card_id: UUID
    curator_id: int
    url_id: int | None


@event_type("collection.created", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionCreated(_AboutCollection):
    collection_id: UUID
    owner_id: int
    visibility: str | None = None  # None in the first events, which did not record it.


@event_type("collection.updated", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionUpdated(_AboutCollection):
    collection_id: UUID
    owner_id: int
    visibility: str


@event_type("collection.removed", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRemoved(_AboutCollection):
    collection_id: UUID
    owner_id: int


@event_type("collection.card_added", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionCardAdded(_AboutCollection):
    collection_id: UUID
    card_id: UUID
    added_by_id: int


@event_type("collection.card_imported", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionCardImported(CollectionCardAdded):
    """An import put a card of its owner into a collection of its owner."""

    import_id: UUID


@event_type("collection.card_removed", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionCardRemoved(_AboutCollection):
    collection_id: UUID
    card_id: UUID
    removed_by_id: int


class AboutImport:
    """Give the events of an import their subject, also those in imports/events.py."""

    __slots__ = ()
    import_id: UUID

    @property
    def subject(self) -> str:
        return f"imports/{self.import_id}"


@event_type("import.batch_added", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class ImportBatchAdded(AboutImport):
    """A batch of an import was added as cards; `card_ids` are the public ones, for timelines."""

    import_id: UUID
    curator_id: int
    card_ids: tuple[UUID, ...]


@event_type("cards.imported", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CardsImported(AboutImport):
    """An import added public cards; recorded once per import, to notify followers."""

    import_id: UUID
    curator_id: int
    count: int
