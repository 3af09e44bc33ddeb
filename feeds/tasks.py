"""Keep timelines short and free of dead entries. Tasks may run at any time, concurrently."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from eventbook import scheduled
from eventbook.database import execute
from feeds import statements
from feeds.services import lock_cards, lock_timelines
from feeds.statements import FIND_ORPHANS

OWNERS_AT_ONCE = 1000
ENTRIES_AT_ONCE = 10_000


@scheduled(every=timedelta(minutes=10), name="feeds.trim")
def trim() -> int:
    """Delete all but the newest FEED_LENGTH entries of each timeline, and return how many."""
    return execute(statements.TRIM, [settings.FEED_LENGTH], prepare=False).count


@scheduled(every=timedelta(hours=24), name="feeds.evict_idle")
def evict_idle() -> int:
    """Evict the timelines not read for FEED_EVICT_DAYS: delete their entries. Return how many."""
    idle_since = timezone.now() - timedelta(days=settings.FEED_EVICT_DAYS)
    total, evicted = 0, OWNERS_AT_ONCE
    while evicted:
        ((evicted,),) = execute(statements.EVICT, [idle_since, OWNERS_AT_ONCE], prepare=False).rows
        total += evicted
    return total


@scheduled(every=timedelta(hours=24), name="feeds.prune_orphans")
def prune_orphans() -> int:
    """Delete entries whose card, follow or timeline is gone, and return how many.

    They remain after a user is deleted, or if a handler ran at the same time as another change.
    """
    total, pruned = 0, 1
    while pruned and (found := execute(FIND_ORPHANS, [ENTRIES_AT_ONCE], prepare=False).rows):
        pruned = _prune(found)
        total += pruned
    return total


@transaction.atomic
def _prune(found: list[tuple[int, UUID]]) -> int:
    """Delete orphaned entries, given as (owner id, card id); return how many."""
    # An entry found may have become valid since, so the statement checks again under the locks.
    owner_ids, card_ids = (list(column) for column in zip(*found, strict=True))
    lock_timelines(owner_ids)
    lock_cards(card_ids)
    return execute(statements.PRUNE_ORPHANS, [owner_ids, card_ids], prepare=False).count
