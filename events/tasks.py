from __future__ import annotations

from celery import shared_task

from events import services


@shared_task(name="events.prune", ignore_result=False)
def prune() -> dict[str, int]:
    """This deletes done deliveries beyond what each queue keeps."""
    return services.prune()
