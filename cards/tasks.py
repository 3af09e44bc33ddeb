from __future__ import annotations

from datetime import timedelta

from cards.imports import refreshing as subscriptions
from cards.imports import turns
from cards.metadata import refreshing as pages
from events.schedule import scheduled


@scheduled(every=timedelta(minutes=1), name="imports.refresh_due")
def refresh_due() -> int:
    """Record an event for each web feed that is due, and return how many; resume stuck imports."""
    turns.revive()
    return subscriptions.announce_due()


@scheduled(every=timedelta(hours=1), name="metadata.refresh")
def refresh_metadata() -> dict[str, int]:
    """Record events to fetch an hour's share of outdated or missing metadata again."""
    return pages.refresh()
