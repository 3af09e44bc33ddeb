"""The domain signals of pages; sent by their services only."""

from __future__ import annotations

from eventbook import DomainSignal
from pages.events import PageAdded, PageFetchRequested, PageIdentified

page_added = DomainSignal(PageAdded)
page_fetch_requested = DomainSignal(PageFetchRequested)
page_identified = DomainSignal(PageIdentified)
