"""Queue controls: the pauses, limits and concurrency that operators have set while queues run.

They are stored in PostgreSQL (eventbook_queuecontrol), so that they hold while the broker is down
and after a restart of all processes. A process caches them for FRESH_SECONDS.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from math import inf

from eventbook.database.statements import execute
from eventbook.declare.queues import QueuePolicy, policy_of

FRESH_SECONDS = 0.5  # how long a process trusts its cached copy


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One queue's control; where a number is None, the queue table's number applies."""

    paused: bool = False
    # Seconds from the resumption until this was read: 0 if paused, infinity if never paused.
    seconds_unpaused: float = inf
    concurrency: int | None = None
    rate_limit: int | None = None
    rate_seconds: int | None = None
    group_limit: int | None = None
    group_seconds: int | None = None

    def apply_to(self, policy: QueuePolicy) -> QueuePolicy:
        """Return the policy with the operators' numbers in place of its own."""
        numbers = {name: number for name in NUMBERS if (number := getattr(self, name)) is not None}
        return dataclasses.replace(policy, **numbers) if numbers else policy


NUMBERS = ("concurrency", "rate_limit", "rate_seconds", "group_limit", "group_seconds")
NO_CONTROL = Control()
READ = f"""
    SELECT queue, paused_at IS NOT NULL,
           CASE WHEN paused_at IS NOT NULL THEN 0
                ELSE coalesce(date_part('epoch', now() - resumed_at), 'infinity') END,
           {", ".join(NUMBERS)}
    FROM eventbook_queuecontrol
"""  # noqa: S608 - put together from constants

Controls = dict[str, Control]


class _Cache:
    """The cached controls of this process, and when they were read.

    Both are replaced in one assignment, without a lock: threads may read twice at the same time,
    but a forked child can't inherit a lock that is held for ever.
    """

    last: tuple[float, Controls] = (float("-inf"), {})


def read() -> Controls:
    """Read the controls of all queues from PostgreSQL into the cache, and return them."""
    controls = {
        queue: Control(
            paused=paused, seconds_unpaused=running, **dict(zip(NUMBERS, numbers, strict=True))
        )
        for queue, paused, running, *numbers in execute(READ).rows
    }
    _Cache.last = time.monotonic(), controls
    return controls


def control_of(queue: str) -> Control:
    """Return a queue's control as it was at most FRESH_SECONDS ago.

    Raise OperationalError if the cache is older and PostgreSQL is unreachable.
    """
    read_at, controls = _Cache.last
    if time.monotonic() > read_at + FRESH_SECONDS:
        controls = read()
    return controls.get(queue, NO_CONTROL)


def seconds_unpaused(queue: str) -> float:
    """Return the seconds since the queue was resumed; infinity if it was never paused.

    This uses the cached controls, however old, and never queries PostgreSQL.
    """
    read_at, controls = _Cache.last
    return controls.get(queue, NO_CONTROL).seconds_unpaused + time.monotonic() - read_at


def policy_in_force(queue: str) -> QueuePolicy:
    """Return a queue's policy, with the operators' numbers in it; raise UnknownQueue."""
    return control_of(queue).apply_to(policy_of(queue))


def paused_queues() -> frozenset[str]:
    """Return the names of the queues that are paused now, without the cache."""
    return frozenset(queue for queue, control in read().items() if control.paused)


def clear_cache() -> None:
    """Empty the cache, after this process has changed a control."""
    _Cache.last = float("-inf"), {}
