from __future__ import annotations

from datetime import timedelta

from eventbook import scheduled
from pages.metadata import refreshing


@scheduled(every=timedelta(hours=1), name="metadata.refresh")
def refresh_metadata() -> dict[str, int]:
    """Let pages be fetched again whose metadata is out of date."""
    return refreshing.refresh()
