"""The domain signals of cards; sent by its services only."""

from __future__ import annotations

from cards.events import (
    CardAdded,
    CardRemoved,
    CardUpdated,
    CollectionCardAdded,
    CollectionCardRemoved,
    CollectionCreated,
    CollectionRemoved,
    CollectionUpdated,
)
from events.signals import DomainSignal

card_added = DomainSignal(CardAdded)
card_updated = DomainSignal(CardUpdated)
card_removed = DomainSignal(CardRemoved)
collection_created = DomainSignal(CollectionCreated)
collection_updated = DomainSignal(CollectionUpdated)
collection_removed = DomainSignal(CollectionRemoved)
collection_card_added = DomainSignal(CollectionCardAdded)
collection_card_removed = DomainSignal(CollectionCardRemoved)
