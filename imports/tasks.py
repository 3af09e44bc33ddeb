from __future__ import annotations

from datetime import timedelta

from eventbook import scheduled
from imports.jobs import turns
from imports.subscriptions import refreshing


@scheduled(every=timedelta(minutes=1), name="imports.refresh_due")
def refresh_due() -> int:
    """Recover lost turns, announce the web feeds that are due, and return the number of feeds."""
    turns.recover_turns()
    return refreshing.announce_due()
