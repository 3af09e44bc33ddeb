"""What happens to cards and collections, as events."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from events.envelope import event_type


class _AboutCard:
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
    visibility: str | None = None  # Not known of the first ones.


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


@event_type("collection.card_removed", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionCardRemoved(_AboutCollection):
    collection_id: UUID
    card_id: UUID
    removed_by_id: int
