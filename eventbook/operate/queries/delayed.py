"""Reads of delayed events: recorded ones that wait for their time (`run_at`)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db.models.functions import Now

from eventbook.models import OutboxEntry
from eventbook.operate.queries.values import rows


def delayed_events(*, type: str = "", limit: int = 50) -> list[OutboxEntry]:
    """Return the outbox entries of delayed events with their events, the first due first."""
    waiting = OutboxEntry.objects.filter(due_at__gt=Now()).select_related("event")
    chosen = waiting.filter(type=type) if type else waiting
    return list(chosen.order_by("due_at")[:limit])


def count_delayed() -> tuple[int, datetime | None]:
    """Return the number of delayed events, and the time of the first one."""
    statement = "SELECT count(*), min(due_at) FROM eventbook_outboxentry WHERE due_at > now()"
    ((count, first),) = rows(statement)
    return count, first


def delayed_ids(keys: Sequence[str]) -> dict[str, UUID]:
    """Return the ids of the delayed events that have one of these keys, by key."""
    waiting = OutboxEntry.objects.filter(due_at__isnull=False, event__key__in=keys)
    return {str(key): id for key, id in waiting.values_list("event__key", "event_id")}
