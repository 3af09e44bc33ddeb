"""The domain signals of cards, collections, pages and imports. Only services send them."""

from __future__ import annotations

from cards.events import (
    CardAdded,
    CardImported,
    CardRemoved,
    CardsImported,
    CardUpdated,
    CollectionCardAdded,
    CollectionCardImported,
    CollectionCardRemoved,
    CollectionCreated,
    CollectionRemoved,
    CollectionUpdated,
    ImportBatchAdded,
)
from eventbook import DomainSignal

card_added = DomainSignal(CardAdded)
card_imported = DomainSignal(CardImported)
card_updated = DomainSignal(CardUpdated)
card_removed = DomainSignal(CardRemoved)
collection_created = DomainSignal(CollectionCreated)
collection_updated = DomainSignal(CollectionUpdated)
collection_removed = DomainSignal(CollectionRemoved)
collection_card_added = DomainSignal(CollectionCardAdded)
collection_card_imported = DomainSignal(CollectionCardImported)
collection_card_removed = DomainSignal(CollectionCardRemoved)
import_batch_added = DomainSignal(ImportBatchAdded)
cards_imported = DomainSignal(CardsImported)
