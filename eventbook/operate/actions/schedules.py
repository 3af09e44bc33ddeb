"""The operators' actions on schedules: pause, resume, and run now."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from eventbook.beat.schedule import UnknownSchedule, ensure_controls, schedule_of
from eventbook.database.statements import execute
from eventbook.models import ScheduleControl
from eventbook.operate.actions.operations import record_operation

__all__ = ["UnknownSchedule", "pause_schedule", "resume_schedule", "run_schedule_now"]

logger = logging.getLogger(__name__)


@transaction.atomic
def pause_schedule(name: str, *, actor: str, reason: str = "") -> bool:
    """Skip a schedule's slots from now on; return whether it was running before.

    Slots that are recorded already still run. Raise UnknownSchedule.
    """
    control = _control(name)
    changed = control.paused_at is None
    if changed:
        control.paused_at, control.paused_by = Now(), actor
    if changed or reason:
        control.reason = reason
    control.save()
    record_operation("schedule.pause", actor, int(changed), {"schedule": name, "reason": reason})
    logger.warning("schedule.paused", extra={"handler": name})
    return changed


@transaction.atomic
def resume_schedule(name: str, *, actor: str) -> bool:
    """End a schedule's pause: the next slot runs. Return whether it was paused.

    Raise UnknownSchedule.
    """
    control = _control(name)
    changed = control.paused_at is not None
    control.paused_at, control.paused_by, control.reason = None, "", ""
    control.save()
    # The slots of the pause are skipped, also if no scheduler ran meanwhile.
    ScheduleControl.objects.filter(pk=name).update(checked_until=Now())
    record_operation("schedule.resume", actor, int(changed), {"schedule": name})
    logger.warning("schedule.resumed", extra={"handler": name})
    return changed


@transaction.atomic
def run_schedule_now(name: str, *, actor: str) -> None:
    """Run a schedule once, in addition to its slots and even if it is paused.

    Raise UnknownSchedule.
    """
    schedule = schedule_of(name)
    now: datetime = execute("SELECT clock_timestamp()").rows[0][0]
    schedule.record(now, key=None)
    record_operation("schedule.run", actor, 1, {"schedule": name})


def _control(name: str) -> ScheduleControl:
    """Return a schedule's row, locked until the transaction ends."""
    schedule_of(name)
    ensure_controls()
    return ScheduleControl.objects.select_for_update().get(pk=name)
