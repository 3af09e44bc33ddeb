"""How things were at a moment, told by the events until then."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import OuterRef, QuerySet, Subquery

from events.ids import first_id_at
from events.models import Event


class HistoryPruned(Exception):
    """Events are kept for a time only, so that nobody can tell how things were."""


def until(moment: datetime, **filters: Any) -> QuerySet[Event]:
    """This answers the events recorded until a moment, to the millisecond."""
    return Event.objects.filter(id__lt=first_id_at(moment + timedelta(milliseconds=1)), **filters)


def since(moment: datetime, **filters: Any) -> QuerySet[Event]:
    """This answers the events recorded at a moment or later, to the millisecond."""
    return Event.objects.filter(id__gte=first_id_at(moment), **filters)


def existing(
    moment: datetime,
    *,
    subjects: QuerySet[Any],
    began: Collection[str],
    changes: Collection[str],
    ended: str,
) -> QuerySet[Event]:
    """This answers the first events of those subjects that existed at a moment.

    `began`, `changes` and `ended` are the types of events that tell of a subject. Each answer also
    has the last of them: `state` is its data, `state_at` its time. Raises HistoryPruned.
    """
    if settings.KEEP_EVENTS_DAYS:
        raise HistoryPruned(
            f"Events are kept for {settings.KEEP_EVENTS_DAYS} days only (KEEP_EVENTS_DAYS);"
            " what came before is not known."
        )
    last = until(moment, subject=OuterRef("subject"), type__in=[*began, *changes, ended])
    newest = last.order_by("-id")
    return (
        until(moment, type__in=began, subject__in=subjects)
        .annotate(
            state_type=Subquery(newest.values("type")[:1]),
            state=Subquery(newest.values("data")[:1]),
            state_at=Subquery(newest.values("recorded_at")[:1]),
        )
        .exclude(state_type=ended)
    )
