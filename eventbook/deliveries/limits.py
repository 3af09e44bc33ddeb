"""Rate limits for the whole cluster, strict over any window.

A permit allows one call. It is in force from before the call until one window after the call's end.
While `count` permits are in force, further calls are refused, so no window, wherever it begins, has
more than `count` calls. A turn is the time reserved for a refused call; a line is a sequence of
turns.

Permits are rows in PostgreSQL, written under the lock of their group's row and timed by
PostgreSQL's clock. If a process dies in a call, its permit stays in force until one window after
the time at which the call must have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from eventbook.database.statements import execute
from eventbook.declare.handlers import Handler
from eventbook.declare.queues import QueuePolicy


@dataclass(frozen=True)
class RateLimit:
    """At most `count` calls in any window of `seconds`, for all calls of one `group`.

    Refused calls get turns in their order within a `line`. The lines of a group share its limit, so
    that a line with many waiting calls doesn't hold up the others. If `line` is empty, the group
    has one line.
    """

    group: str
    count: int
    seconds: int
    line: str = ""

    @property
    def line_name(self) -> str:
        """Return the name of the eventbook_rategroup row with the time of the line's last turn."""
        return self.line or self.group

    @property
    def parameters(self) -> dict[str, str | int]:
        """Return this limit's parameters for the SQL below; TAKE needs one more."""
        return {
            "group": self.group,
            "line_name": self.line_name,
            "count": self.count,
            "seconds": self.seconds,
        }

    def seconds_to_turn(self) -> float:
        """Take a permit for a call that counts from its beginning, and return 0.

        If there is none, reserve a turn, and return how many seconds to wait for it.
        """
        permission = acquire_permits([self], longest=0, waited=True)
        return permission.seconds if isinstance(permission, RateLimited) else 0.0


@dataclass(frozen=True)
class RateLimited:
    """No permission now; the call's turn comes in `seconds`."""

    seconds: float


ENSURE = """
    INSERT INTO eventbook_rategroup (name, tokens, refilled_at)
    SELECT unnest(%s::text[]), 0, 'epoch'
    ON CONFLICT (name) DO NOTHING
"""
LOCK = "SELECT name FROM eventbook_rategroup WHERE name = ANY(%s) ORDER BY name FOR UPDATE"
# The permits left, and the seconds until the last reserved turn of the line, or 0.
# Not now(): that is the transaction's beginning, and the transaction may have waited for the lock.
ROOM = """
    SELECT %(count)s - count(*) FILTER (WHERE until > clock_timestamp()),
           greatest(extract(epoch FROM
               (SELECT reserved_until FROM eventbook_rategroup WHERE name = %(line_name)s)
               - clock_timestamp())::float, 0)
    FROM eventbook_permit WHERE "group" = %(group)s
"""
TAKE = """
    WITH expired AS (
        DELETE FROM eventbook_permit WHERE "group" = %(group)s AND until <= clock_timestamp()
    )
    INSERT INTO eventbook_permit ("group", until)
    VALUES (%(group)s, clock_timestamp() + (%(longest)s + %(seconds)s) * interval '1 second')
    RETURNING id
"""
# A turn is `seconds` / `count` after the latest of: now, the last turn of its line, and the end of
# the permit that ends first (if that is within one window).
RESERVE = """
    UPDATE eventbook_rategroup
    SET reserved_until = greatest(
            reserved_until,
            coalesce((SELECT min(until) FROM eventbook_permit
                      WHERE "group" = %(group)s AND until > clock_timestamp()
                        AND until < clock_timestamp() + %(seconds)s * interval '1 second'),
                     clock_timestamp())
        ) + %(seconds)s::float / %(count)s * interval '1 second'
    WHERE name = %(line_name)s
    RETURNING extract(epoch FROM reserved_until - clock_timestamp())::float
"""
END = """
    UPDATE eventbook_permit SET until = clock_timestamp() + limits.seconds * interval '1 second'
    FROM unnest(%s::bigint[], %s::int[]) AS limits (id, seconds)
    WHERE eventbook_permit.id = limits.id
"""
DELETE_IDLE = """
    WITH idle AS (
        SELECT name FROM eventbook_rategroup
        WHERE reserved_until < now() - interval '1 day' AND refilled_at < now() - interval '1 day'
          AND NOT EXISTS (SELECT FROM eventbook_permit WHERE "group" = name AND until > now())
        FOR UPDATE SKIP LOCKED
    ), expired AS (
        DELETE FROM eventbook_permit WHERE until < now() - interval '1 day'
    )
    DELETE FROM eventbook_rategroup USING idle WHERE eventbook_rategroup.name = idle.name
"""


def rate_limits_of(handler: Handler, event: Any, policy: QueuePolicy) -> list[RateLimit]:
    """Return the rate limits that apply to a call: the queue's, and the event's group's."""
    limits = []
    group = f"{policy.name} {handler.group(event)}" if handler.group else ""
    if policy.rate_limit:
        line = f"queue {group}" if group else ""
        queue = f"queue {policy.name}"
        limits.append(RateLimit(queue, policy.rate_limit, policy.rate_seconds, line))
    if policy.group_limit and group:
        limits.append(RateLimit(group, policy.group_limit, policy.group_seconds))
    return limits


def acquire_permits(
    limits: Sequence[RateLimit], *, longest: float, waited: bool
) -> list[int] | RateLimited:
    """Return the id of a permit under each limit; or reserve a turn and return RateLimited.

    The call must end within `longest` seconds. A call that has not `waited` for a turn before is
    refused while others of its line wait.
    """
    if not limits:
        return []
    with transaction.atomic():
        _lock(sorted({name for limit in limits for name in (limit.group, limit.line_name)}))
        for limit in limits:
            ((free, seconds_to_turn),) = execute(ROOM, limit.parameters).rows
            if free <= 0 or (seconds_to_turn > 0 and not waited):
                ((seconds,),) = execute(RESERVE, limit.parameters).rows
                return RateLimited(seconds)
        ids = []
        for limit in limits:
            ((id,),) = execute(TAKE, limit.parameters | {"longest": longest}).rows
            ids.append(id)
        return ids


def end_permits(permits: Sequence[int], limits: Sequence[RateLimit]) -> None:
    """Keep the permits of a call that has just ended in force for one more window."""
    if permits:
        execute(END, [list(permits), [limit.seconds for limit in limits]])


def delete_idle() -> None:
    """Delete groups and lines that were not used for a day; `_lock` creates them again."""
    execute(DELETE_IDLE, prepare=False)


def _lock(names: list[str]) -> None:
    """Lock the rows of these groups until the transaction ends; create missing ones."""
    locked = 0
    while locked < len(names):  # again, if `delete_idle` deleted a row between the two statements
        execute(ENSURE, [names])
        locked = execute(LOCK, [names]).count


# A token bucket that holds at most the tokens of two seconds.
SPEND = """
    WITH bucket AS (
        SELECT name, least(2 * %(rate)s, tokens + %(rate)s *
            extract(epoch FROM clock_timestamp() - refilled_at)::float) AS tokens
        FROM eventbook_rategroup WHERE name = %(name)s
    ), spent AS (
        SELECT name, tokens, least(floor(tokens), %(wanted)s) AS taken FROM bucket
    )
    UPDATE eventbook_rategroup
    SET tokens = spent.tokens - spent.taken, refilled_at = clock_timestamp()
    FROM spent WHERE eventbook_rategroup.name = spent.name
    RETURNING spent.taken
"""


def spend(name: str, *, rate: int, wanted: int) -> int:
    """Take up to `wanted` tokens from a budget that gains `rate` tokens a second; return how many.

    Call this in the transaction that uses the tokens, so that a rollback returns them.
    """
    _lock([name])
    ((taken,),) = execute(SPEND, {"name": name, "rate": rate, "wanted": wanted}).rows
    return int(taken)
