"""Reads of schedules: when each runs, and how its last run ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from eventbook.beat.schedule import ensure_controls, schedule_of, schedules
from eventbook.declare.handlers import handlers
from eventbook.models import Delivery, Event, ScheduleControl

MOST_SLOTS = 100


@dataclass(frozen=True, kw_only=True)
class ScheduleStatus:
    """A schedule: its timing as text, its next slot, its last run, and its pause.

    `next_at` is None while it is paused; `state` is that of the last run's delivery, or "".
    """

    schedule: str
    timing: str
    queue: str
    next_at: datetime | None
    last_at: datetime | None
    state: str
    paused_at: datetime | None
    paused_by: str
    reason: str


def schedule_status() -> list[ScheduleStatus]:
    """Return every schedule of this release, sorted by name."""
    ensure_controls()
    controls = ScheduleControl.objects.filter(pk__in=schedules).order_by("pk")
    return [status for control in controls if (status := status_of_schedule(control))]


def status_of_schedule(control: ScheduleControl) -> ScheduleStatus | None:
    """Return the status of a schedule; None if this release does not have it."""
    if (schedule := schedules.get(control.schedule)) is None:
        return None
    handler = handlers[schedule.name]
    event = Event.objects.filter(type=schedule.signal.name).order_by("-id").first()
    runs = Delivery.objects.filter(event=event, handler__in=handler.names)
    last = runs.first() if event else None
    return ScheduleStatus(
        schedule=schedule.name,
        timing=str(schedule.timing),
        queue=handler.queue,
        next_at=None if control.paused_at else schedule.timing.next(timezone.now()),
        last_at=last.recorded_at if last else None,
        state=last.state if last else "",
        paused_at=control.paused_at,
        paused_by=control.paused_by,
        reason=control.reason,
    )


def upcoming(name: str, count: int) -> list[datetime]:
    """Return the next slots of a schedule, at most MOST_SLOTS; raise UnknownSchedule."""
    timing = schedule_of(name).timing
    slots: list[datetime] = []
    slot = timing.next(timezone.now())
    while slot and len(slots) < min(count, MOST_SLOTS):
        slots.append(slot)
        slot = timing.next(slot)
    return slots
