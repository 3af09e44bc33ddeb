from __future__ import annotations

from datetime import timedelta

from eventbook import scheduled
from pages.metadata import refreshing

scheduled(every=timedelta(hours=1), name="metadata.refresh")(refreshing.refresh)
