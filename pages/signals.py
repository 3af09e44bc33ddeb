"""The domain signals of pages; sent by their services only."""

from __future__ import annotations

from eventbook import DomainSignal
from pages.events import PageAdded, PageExpired, PageIdentified

page_added = DomainSignal(PageAdded)
page_expired = DomainSignal(PageExpired)
page_identified = DomainSignal(PageIdentified)
