from __future__ import annotations

from celery import shared_task

from feeds import upkeep


@shared_task(name="feeds.trim", ignore_result=False)
def trim() -> int:
    """This deletes what is beyond the length of each timeline, and answers how much."""
    return upkeep.trim()


@shared_task(name="feeds.evict_idle", ignore_result=False)
def evict_idle() -> int:
    """This empties timelines that nobody reads, and answers how many."""
    return upkeep.evict_idle()


@shared_task(name="feeds.prune_orphans", ignore_result=False)
def prune_orphans() -> int:
    """This deletes entries that no read shows, and answers how many."""
    return upkeep.prune_orphans()
