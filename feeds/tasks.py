from __future__ import annotations

from datetime import timedelta

from eventbook import scheduled
from feeds import upkeep


@scheduled(every=timedelta(minutes=10), name="feeds.trim")
def trim() -> int:
    """Delete entries beyond FEED_LENGTH from each timeline, and return how many."""
    return upkeep.trim()


@scheduled(every=timedelta(hours=24), name="feeds.evict_idle")
def evict_idle() -> int:
    """Evict timelines that nobody reads, and return how many."""
    return upkeep.evict_idle()


@scheduled(every=timedelta(hours=24), name="feeds.prune_orphans")
def prune_orphans() -> int:
    """Delete entries that no read can show, and return how many."""
    return upkeep.prune_orphans()
