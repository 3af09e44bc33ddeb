from __future__ import annotations

from datetime import timedelta

from events.schedule import scheduled
from feeds import upkeep


@scheduled(every=timedelta(minutes=10), name="feeds.trim")
def trim() -> int:
    """This deletes what is beyond the length of each timeline, and answers how much."""
    return upkeep.trim()


@scheduled(every=timedelta(hours=24), name="feeds.evict_idle")
def evict_idle() -> int:
    """This empties timelines that nobody reads, and answers how many."""
    return upkeep.evict_idle()


@scheduled(every=timedelta(hours=24), name="feeds.prune_orphans")
def prune_orphans() -> int:
    """This deletes entries that no read shows, and answers how many."""
    return upkeep.prune_orphans()
