"""Maintenance of the event system, on schedules."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django_celery_results.models import TaskResult

from eventbook.beat.schedule import scheduled
from eventbook.operate.audit import audit
from eventbook.store import retention

scheduled(every=timedelta(minutes=10), name="eventbook.prune")(retention.prune)
scheduled(every=timedelta(minutes=1), name="eventbook.audit")(audit)


@scheduled(every=timedelta(hours=24), name="eventbook.forget_results")
def forget_results() -> None:
    """Delete the results of tasks that ended longer than CELERY_RESULT_EXPIRES ago."""
    TaskResult.objects.delete_expired(settings.CELERY_RESULT_EXPIRES)
