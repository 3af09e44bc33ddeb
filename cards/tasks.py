from __future__ import annotations

from datetime import timedelta

from cards.imports import refreshing as subscriptions
from cards.imports import turns
from cards.metadata import refreshing as pages
from events.schedule import scheduled


@scheduled(every=timedelta(minutes=1), name="imports.refresh_due")
def refresh_due() -> int:
    """Tell the workers of feeds whose time has come, and return how many."""
    turns.revive()
    return subscriptions.announce_due()


@scheduled(every=timedelta(hours=1), name="metadata.refresh")
def refresh_metadata() -> dict[str, int]:
    """Let pages be asked for again whose metadata is old."""
    return pages.refresh()
