"""How things were at a moment, told by the events that are kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from events.ids import first_id_at
from events.models import Event

MILLISECOND = timedelta(milliseconds=1)
# Of events about one subject, the last one is the last by PostgreSQL's clock: each is recorded
# while the subject's row is locked. Ids are of web machines' clocks, which may differ by so much.
CLOCKS = timedelta(minutes=10)


class HistoryPruned(Exception):
    """Events are kept for a time only, so that nobody can tell how things were."""


def require_kept(moment: datetime) -> None:
    """Raise HistoryPruned for a moment of which events may have been deleted."""
    days = settings.KEEP_EVENTS_DAYS
    if days and moment < timezone.now() - timedelta(days=days):
        raise HistoryPruned(
            f"Events are kept for {days} days (KEEP_EVENTS_DAYS); ask for a later moment."
        )


def until(moment: datetime, **filters: Any) -> QuerySet[Event]:
    """Return the events recorded until a moment, to the millisecond."""
    return Event.objects.filter(recorded_at__lt=moment + MILLISECOND, **filters)


def since(moment: datetime, **filters: Any) -> QuerySet[Event]:
    """Return the events recorded after a moment, to the millisecond."""
    return Event.objects.filter(
        id__gte=first_id_at(moment - CLOCKS), recorded_at__gte=moment + MILLISECOND, **filters
    )


def last(moment: datetime, subjects: Collection[str], types: Collection[str]) -> dict[str, Event]:
    """Return the last event until a moment of each subject, as far as there is one."""
    found = until(moment, subject__in=subjects, type__in=types)
    latest = found.order_by("subject", "-recorded_at", "-id").distinct("subject")
    return {event.subject: event for event in latest}


def first(subjects: Collection[str], types: Collection[str]) -> dict[str, Event]:
    """Return the first event of each subject, as far as it is kept."""
    found = Event.objects.filter(subject__in=subjects, type__in=types)
    return {event.subject: event for event in found.order_by("subject", "id").distinct("subject")}
