"""Schedules: functions that run once in each of their slots (timing.py).

Each slot is an event, whose key is the schedule's name and the slot's time. However many schedulers
run, and whenever one is killed, a slot is recorded once, and delivered like any other event. A
schedule's row in PostgreSQL has the time until which its slots were checked, and its pause.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction

from eventbook.beat.timing import Cron, Every, Timing
from eventbook.database.statements import execute
from eventbook.declare.events import event_type
from eventbook.declare.handlers import handler
from eventbook.record.signals import DomainSignal

logger = logging.getLogger(__name__)

Task = TypeVar("Task", bound=Callable[[], Any])

LONGEST_SLEEP = timedelta(minutes=1)  # between two checks for due slots


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDue:
    """The event of a schedule's slot; `slot` is its ISO 8601 time (UTC)."""

    slot: str

    @property
    def subject(self) -> str:
        return f"schedule/{self.slot}"


@dataclass(frozen=True)
class Schedule:
    """A function's schedule: its slots, and the signal and class of the events of its slots."""

    name: str
    timing: Timing
    signal: DomainSignal
    event: type[SlotDue]

    def record(self, slot: datetime, *, key: str | None) -> None:
        """Record a slot as an event, in an open transaction, unless its key is recorded."""
        event = self.event(slot=slot.astimezone(UTC).isoformat())
        self.signal.send(sender=Schedule, event=event, key=key)


schedules: dict[str, Schedule] = {}


def scheduled(
    *,
    name: str,
    every: timedelta | None = None,
    cron: str | None = None,
    tz: str = "UTC",
    queue: str = "events",
) -> Callable[[Task], Task]:
    """Run the decorated function once in every slot, in a worker of `queue`.

    Slots are every `every`, or at the times of a cron expression of five fields in the time zone
    `tz`; timing.py says what happens at a change of the clock. The function must be idempotent:
    after a failure or a worker's death it is run again, like any handler. Of the slots that passed
    while no scheduler ran, only the last is run. Raise ValueError for both or none of `every` and
    `cron`, and for an invalid one.
    """
    if (every is None) is (cron is None):
        raise ValueError(f"{name}: give either `every` or `cron`.")
    timing: Timing = Cron(cron, tz) if cron is not None else Every(every or timedelta())
    event: type[SlotDue] = event_type(f"{name}.due", version=1)(type("SlotDue", (SlotDue,), {}))
    schedules[name] = Schedule(name, timing, DomainSignal(event), event)

    def subscribe(task: Task) -> Task:
        @handler(schedules[name].signal, queue=queue, name=name, atomic=False, keep_result=True)
        def run(events: Any) -> None:
            logger.info("schedule.ran", extra={"handler": name, "result": task()})

        return task

    return subscribe


# A new schedule that starts at once counts as checked in 1970.
ENSURE = """
    INSERT INTO eventbook_schedulecontrol (schedule, checked_until)
    SELECT name, CASE WHEN at_once THEN 'epoch' ELSE clock_timestamp() END
    FROM unnest(%s::text[], %s::boolean[]) AS known (name, at_once)
    ON CONFLICT (schedule) DO NOTHING
"""
# Schedulers wait here for each other, so each sees how far the others have checked.
LOCK = """
    SELECT schedule, checked_until, paused_at IS NOT NULL FROM eventbook_schedulecontrol
    WHERE schedule = ANY(%s) ORDER BY schedule FOR UPDATE
"""
# Also to an earlier time: if PostgreSQL's clock was fast and is set back, schedules would stop
# until then. A slot that was recorded already has its key.
CHECKED = "UPDATE eventbook_schedulecontrol SET checked_until = %s WHERE schedule = ANY(%s)"


class UnknownSchedule(ValueError):
    """This release has no schedule of that name."""


def schedule_of(name: str) -> Schedule:
    """Return the schedule of this name, or raise UnknownSchedule with the names that exist."""
    if name not in schedules:
        names = ", ".join(sorted(schedules))
        raise UnknownSchedule(f"There is no schedule {name!r}. The schedules are: {names}.")
    return schedules[name]


def ensure_controls() -> None:
    """Create the missing rows of schedules."""
    names = list(schedules)
    at_once = [schedule.timing.starts_at_once for schedule in schedules.values()]
    execute(ENSURE, [names, at_once])


def record_due_slots() -> timedelta:
    """Record the last slot of each schedule since the last check; return how long to sleep.

    Slots of paused schedules are skipped.
    """
    with transaction.atomic():
        ensure_controls()
        rows = execute(LOCK, [list(schedules)]).rows
        now: datetime = execute("SELECT clock_timestamp()").rows[0][0]
        for name, checked_until, is_paused in rows:
            schedule = schedules[name]
            slot = schedule.timing.latest(since=checked_until, now=now)
            if slot is not None and not is_paused:
                schedule.record(slot, key=f"{name}@{slot.isoformat()}")
        execute(CHECKED, [now, list(schedules)])
    slots = (schedule.timing.next(now) for schedule in schedules.values())
    return min(LONGEST_SLEEP, *(slot - now for slot in slots if slot is not None))
