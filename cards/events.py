"""The events of cards, collections, pages, imports and web feeds."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from eventbook import event_type


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutCard:
    """Give the events of a card their subject, by which they are found in the event store."""

    card_id: UUID

    @property
    def subject(self) -> str:
        return f"cards/{self.card_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutCollection:
    collection_id: UUID

    @property
    def subject(self) -> str:
        return f"collections/{self.collection_id}"


@event_type("card.added", version=1)
class CardAdded(_AboutCard):
    curator_id: int
    url_id: int | None
    card_type: str
    visibility: str


@event_type("card.imported", version=1)
class CardImported(CardAdded):
    """An import added a card. Others learn of all its cards at once, by CardsImported."""

    import_id: UUID


@event_type("card.updated", version=1)
class CardUpdated(_AboutCard):
    curator_id: int
    url_id: int | None
    visibility: str


@event_type("card.removed", version=1)
class CardRemoved(_AboutCard):
    curator_id: int
    url_id: int | None


@event_type("collection.created", version=1)
class CollectionCreated(_AboutCollection):
    owner_id: int
    visibility: str | None = None  # None in the first events, which did not record it.


@event_type("collection.updated", version=1)
class CollectionUpdated(_AboutCollection):
    owner_id: int
    visibility: str


@event_type("collection.removed", version=1)
class CollectionRemoved(_AboutCollection):
    owner_id: int


@event_type("collection.card_added", version=1)
class CollectionCardAdded(_AboutCollection):
    card_id: UUID
    added_by_id: int


@event_type("collection.card_imported", version=1)
class CollectionCardImported(CollectionCardAdded):
    """An import put a card of its owner into a collection of its owner."""

    import_id: UUID


@event_type("collection.card_removed", version=1)
class CollectionCardRemoved(_AboutCollection):
    card_id: UUID
    removed_by_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AboutImport:
    """Give the events of an import their subject, also those in imports/events.py."""

    import_id: UUID

    @property
    def subject(self) -> str:
        return f"imports/{self.import_id}"


@event_type("import.batch_added", version=1)
class ImportBatchAdded(AboutImport):
    """A batch of an import was added as cards; `card_ids` are the public ones, for timelines."""

    curator_id: int
    card_ids: tuple[UUID, ...]


@event_type("cards.imported", version=1)
class CardsImported(AboutImport):
    """An import added public cards; recorded once per import, to notify followers."""

    curator_id: int
    count: int
