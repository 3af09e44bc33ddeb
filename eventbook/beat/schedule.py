"""Schedules: functions that run once in each slot, an interval of fixed length.

Each slot is an event, whose key is the schedule's name and the slot's beginning. However many
schedulers run, and whenever one is killed, a slot is recorded once, and delivered like any other
event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import transaction

from eventbook.database.statements import execute
from eventbook.declare.events import event_type
from eventbook.declare.handlers import handler
from eventbook.record.signals import DomainSignal

logger = logging.getLogger(__name__)

Task = TypeVar("Task", bound=Callable[[], Any])

LONGEST_SLEEP = timedelta(minutes=1)  # between two checks for due slots


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDue:
    """The event at the beginning of a schedule's slot; `slot` is its ISO 8601 time (UTC)."""

    slot: str

    @property
    def subject(self) -> str:
        return f"schedule/{self.slot}"


@dataclass(frozen=True)
class Schedule:
    """A schedule with a slot in every period of length `every` since 1970-01-01T00:00Z."""

    name: str
    every: timedelta
    signal: DomainSignal
    event: type[SlotDue]

    def slot_at(self, now: datetime) -> datetime:
        """Return the beginning of the slot that contains a time."""
        return now - (now - datetime.fromtimestamp(0, UTC)) % self.every


schedules: dict[str, Schedule] = {}


def scheduled(*, every: timedelta, name: str, queue: str = "events") -> Callable[[Task], Task]:
    """Run the decorated function once in every slot of length `every`, in a worker of `queue`.

    The function must be idempotent: after a failure or a worker's death it is run again, like any
    handler. Slots that passed while no scheduler ran are skipped, except for the present one.
    """
    event = type("SlotDue", (SlotDue,), {"__slots__": ()})
    event_type(f"{name}.due", version=1)(event)
    schedules[name] = Schedule(name, every, DomainSignal(event), event)

    def subscribe(task: Task) -> Task:
        @handler(schedules[name].signal, queue=queue, name=name, atomic=False, keep_result=True)
        def run(events: Any) -> None:
            logger.info("schedule.ran", extra={"handler": name, "result": task()})

        return task

    return subscribe


def record_due_slots() -> timedelta:
    """Record each schedule's present slot, unless it is recorded; return how long to sleep."""
    with transaction.atomic():
        now: datetime = execute("SELECT clock_timestamp()").rows[0][0]
        for schedule in schedules.values():
            slot = schedule.slot_at(now).isoformat()
            key = f"{schedule.name}@{slot}"
            schedule.signal.send(sender=Schedule, event=schedule.event(slot=slot), key=key)
    ends = (schedule.slot_at(now) + schedule.every for schedule in schedules.values())
    return min(LONGEST_SLEEP, *(end - now for end in ends))
