"""What operators have set for the queues, as a running process sees it.

The truth is a row of PostgreSQL for each queue. So it holds while the broker is down, and after
everything was restarted.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from math import inf

from events.queues import QueuePolicy, policy_of
from events.sql import execute

FRESH_SECONDS = 0.5  # so long a process believes what it has read


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A queue's row; None where the number of the queue table holds."""

    paused: bool = False
    # For how long the queue has not been paused, in seconds, when this was read.
    running_seconds: float = inf
    concurrency: int | None = None
    rate_limit: int | None = None
    rate_seconds: int | None = None
    group_limit: int | None = None
    group_seconds: int | None = None

    def over(self, policy: QueuePolicy) -> QueuePolicy:
        """Return the policy with the operators' numbers in place."""
        numbers = {name: number for name in NUMBERS if (number := getattr(self, name)) is not None}
        return dataclasses.replace(policy, **numbers) if numbers else policy


NUMBERS = ("concurrency", "rate_limit", "rate_seconds", "group_limit", "group_seconds")
UNTOUCHED = Control()
READ = f"""
    SELECT queue, paused_at IS NOT NULL,
           CASE WHEN paused_at IS NOT NULL THEN 0
                ELSE coalesce(date_part('epoch', now() - resumed_at), 'infinity') END,
           {", ".join(NUMBERS)}
    FROM events_queuecontrol
"""  # noqa: S608 - put together from constants

Controls = dict[str, Control]


class _Seen:
    """What this process read last, and when.

    Replaced as one, without a lock: threads that find it old at the same time all read, and a child
    process can't inherit a lock that nobody will ever open.
    """

    last: tuple[float, Controls] = (float("-inf"), {})


def read() -> Controls:
    """Return the controls of all queues, as they are now; raise OperationalError."""
    controls = {
        queue: Control(
            paused=paused, running_seconds=running, **dict(zip(NUMBERS, numbers, strict=True))
        )
        for queue, paused, running, *numbers in execute(READ).rows
    }
    _Seen.last = time.monotonic(), controls
    return controls


def control_of(queue: str) -> Control:
    """Return a queue's control, as it was at most FRESH_SECONDS ago.

    Raises OperationalError while PostgreSQL can't be asked.
    """
    read_at, controls = _Seen.last
    if time.monotonic() > read_at + FRESH_SECONDS:
        controls = read()
    return controls.get(queue, UNTOUCHED)


def running_seconds(queue: str) -> float:
    """Return for how long the queue has not been paused, in seconds; infinity if it never was.

    It goes by what the process read last, and asks nobody.
    """
    read_at, controls = _Seen.last
    return controls.get(queue, UNTOUCHED).running_seconds + time.monotonic() - read_at


def policy_in_force(queue: str) -> QueuePolicy:
    """Return a queue's policy with what operators have set; raise UnknownQueue."""
    return control_of(queue).over(policy_of(queue))


def paused_queues() -> frozenset[str]:
    """Return the queues that are paused now."""
    return frozenset(queue for queue, control in read().items() if control.paused)


def forget() -> None:
    """Let the process read the controls before it uses them again: it has changed one."""
    _Seen.last = float("-inf"), {}
