from __future__ import annotations

from celery import shared_task

from notifications import services


@shared_task(name="notifications.prune_orphans", ignore_result=False)
def prune_orphans() -> int:
    """This deletes notifications of what is gone, and answers how many."""
    return services.prune_orphans()
