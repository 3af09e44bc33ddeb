from __future__ import annotations

from datetime import timedelta

from eventbook import scheduled
from eventbook.database import execute
from notifications.statements import PRUNE_ORPHANS


@scheduled(every=timedelta(hours=24), name="notifications.prune_orphans")
def prune_orphans() -> int:
    """Delete notifications whose users, card or collection are gone, and return how many."""
    return execute(PRUNE_ORPHANS, prepare=False).count
