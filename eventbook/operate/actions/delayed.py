"""The operators' actions on delayed events: cancel them, or change their time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from eventbook.operate.actions.operations import record_operation
from eventbook.record.waiting import cancel_events, reschedule_events


@transaction.atomic
def cancel_delayed(ids: Sequence[UUID], *, actor: str) -> int:
    """Delete those of the events that still wait for their time, and return how many."""
    count = cancel_events(ids)
    record_operation("delayed.cancel", actor, count, {"events": list(map(str, ids))})
    return count


@transaction.atomic
def reschedule_delayed(ids: Sequence[UUID], *, run_at: datetime, actor: str) -> int:
    """Change the time of those of the events that still wait for theirs; return how many.

    A time in the past makes them run at once.
    """
    count = reschedule_events(ids, run_at=run_at)
    details = {"events": list(map(str, ids)), "run_at": run_at.isoformat()}
    record_operation("delayed.reschedule", actor, count, details)
    return count
