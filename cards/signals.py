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
    ImportBatchReady,
    ImportRequested,
    PageAdded,
    PageExpired,
    PageIdentified,
    WebFeedDue,
)
from events.signals import DomainSignal

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
import_requested = DomainSignal(ImportRequested)
import_batch_ready = DomainSignal(ImportBatchReady)
import_batch_added = DomainSignal(ImportBatchAdded)
cards_imported = DomainSignal(CardsImported)
web_feed_due = DomainSignal(WebFeedDue)
page_added = DomainSignal(PageAdded)
page_expired = DomainSignal(PageExpired)
page_identified = DomainSignal(PageIdentified)
