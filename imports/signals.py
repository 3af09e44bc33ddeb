"""The domain signals of imports; sent by their services only."""

from __future__ import annotations

from eventbook import DomainSignal
from imports.events import ImportBatchReady, ImportRequested, WebFeedDue

import_requested = DomainSignal(ImportRequested)
import_batch_ready = DomainSignal(ImportBatchReady)
web_feed_due = DomainSignal(WebFeedDue)
