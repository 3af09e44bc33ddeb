from __future__ import annotations

from datetime import timedelta

from eventbook import scheduled
from notifications import services


@scheduled(every=timedelta(hours=24), name="notifications.prune_orphans")
def prune_orphans() -> int:
    """Delete notifications whose users, card or collection are gone, and return how many."""
    return services.prune_orphans()
