"""Query the stored events to reconstruct a past state: the events before or after a moment."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from eventbook.conf import conf
from eventbook.database.ids import first_id_at
from eventbook.models import Event

MILLISECOND = timedelta(milliseconds=1)
# `recorded_at` is PostgreSQL's time, and in order for each subject, whose row is locked while its
# event is recorded. Ids carry times of the web machines' clocks, which may be wrong by this much.
CLOCK_ERROR = timedelta(minutes=10)


class HistoryPruned(Exception):
    """Events of that moment may have been deleted, so the past state is unknown."""


def require_kept(moment: datetime) -> None:
    """Raise HistoryPruned if the moment is more than KEEP_EVENTS_DAYS ago."""
    days = conf.KEEP_EVENTS_DAYS
    if days and moment < timezone.now() - timedelta(days=days):
        raise HistoryPruned(
            f"Events are kept for {days} days (KEEP_EVENTS_DAYS). Choose a later moment."
        )


def until(moment: datetime, **filters: Any) -> QuerySet[Event]:
    """Return the events recorded up to a moment, including its millisecond."""
    return Event.objects.filter(recorded_at__lt=moment + MILLISECOND, **filters)


def since(moment: datetime, **filters: Any) -> QuerySet[Event]:
    """Return the events recorded after a moment's millisecond."""
    return Event.objects.filter(
        id__gte=first_id_at(moment - CLOCK_ERROR), recorded_at__gte=moment + MILLISECOND, **filters
    )


def last(moment: datetime, subjects: Collection[str], types: Collection[str]) -> dict[str, Event]:
    """Return the last event of these types up to a moment, by subject, where there is one."""
    found = until(moment, subject__in=subjects, type__in=types)
    latest = found.order_by("subject", "-recorded_at", "-id").distinct("subject")
    return {event.subject: event for event in latest}


def first(subjects: Collection[str], types: Collection[str]) -> dict[str, Event]:
    """Return the first stored event of these types, by subject, where there is one."""
    found = Event.objects.filter(subject__in=subjects, type__in=types)
    return {event.subject: event for event in found.order_by("subject", "id").distinct("subject")}
