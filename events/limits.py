"""Rate limits over the whole cluster, strict over any window.

A permit counts from before the call until a window after its end. So if `count` calls are allowed
in a window, then the call after these begins when a window has passed since the first of them
ended: in no window, wherever it begins, are there more. Permits are rows in PostgreSQL, under the
lock of their group's row and by its one clock. A process that dies leaves its permit counted until
the call would have been stopped: on the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper


@dataclass(frozen=True)
class Limit:
    """So many calls in any window of so many seconds, for all that share the group's name.

    Those that wait keep their order within a line. Lines share what the group may do: one with
    many that wait does not hold up the others. Without a name the group has one line.
    """

    group: str
    count: int
    seconds: int
    line: str = ""

    @property
    def turns(self) -> str:
        """Return the name under which turns are reserved."""
        return self.line or self.group


@dataclass(frozen=True)
class Permits:
    """Leave to call now, under all limits that apply; given back when the call has ended."""

    ids: Sequence[int]


@dataclass(frozen=True)
class Refused:
    """No leave now; `seconds` is when this one's turn comes."""

    seconds: float


ENSURE = """
    INSERT INTO events_rategroup (name, tokens, refilled_at)
    SELECT unnest(%s::text[]), 0, 'epoch'
    ON CONFLICT (name) DO NOTHING
"""
LOCK = "SELECT name FROM events_rategroup WHERE name = ANY(%s) ORDER BY name FOR UPDATE"
# By the clock, not by the transaction's begin: it may have waited for the lock.
FREE = """
    SELECT %(count)s - count(*) FILTER (WHERE until > clock_timestamp()),
           greatest(extract(epoch FROM
               (SELECT reserved_until FROM events_rategroup WHERE name = %(turns)s)
               - clock_timestamp())::float, 0)
    FROM events_permit WHERE "group" = %(group)s
"""
TAKE = """
    WITH expired AS (
        DELETE FROM events_permit WHERE "group" = %(group)s AND until <= clock_timestamp()
    )
    INSERT INTO events_permit ("group", until)
    VALUES (%(group)s, clock_timestamp() + %(longest)s * interval '1 second') RETURNING id
"""
# When the oldest permit ends, or after those who wait already; then one every window / count.
RESERVE = """
    UPDATE events_rategroup
    SET reserved_until = greatest(
            reserved_until,
            coalesce((SELECT min(until) FROM events_permit
                      WHERE "group" = %(group)s AND until > clock_timestamp()
                        AND until < clock_timestamp() + %(seconds)s * interval '1 second'),
                     clock_timestamp())
        ) + %(seconds)s::float / %(count)s * interval '1 second'
    WHERE name = %(turns)s
    RETURNING extract(epoch FROM reserved_until - clock_timestamp())::float
"""
GIVE_BACK = """
    UPDATE events_permit SET until = clock_timestamp() + limits.seconds * interval '1 second'
    FROM unnest(%s::bigint[], %s::int[]) AS limits (id, seconds)
    WHERE events_permit.id = limits.id
"""
FORGET = """
    WITH idle AS (
        SELECT name FROM events_rategroup
        WHERE reserved_until < now() - interval '1 day' AND refilled_at < now() - interval '1 day'
          AND NOT EXISTS (SELECT FROM events_permit WHERE "group" = name AND until > now())
        FOR UPDATE SKIP LOCKED
    ), expired AS (
        DELETE FROM events_permit WHERE until < now() - interval '1 day'
    )
    DELETE FROM events_rategroup USING idle WHERE events_rategroup.name = idle.name
"""


def acquire(limits: Sequence[Limit], *, longest: float, waited: bool) -> Permits | Refused:
    """Ask for leave to call once, under every one of the limits.

    `longest` is how many seconds the call may take. One that has not `waited` for its turn goes
    behind those that do.
    """
    names = sorted({name for limit in limits for name in (limit.group, limit.turns)})
    with transaction.atomic(), connection.cursor() as cursor:
        _lock(cursor, names)
        for limit in limits:
            cursor.execute(FREE, _numbers(limit))
            free, queue = cursor.fetchone()
            if free <= 0 or (queue > 0 and not waited):
                cursor.execute(RESERVE, _numbers(limit))
                return Refused(float(cursor.fetchone()[0]))
        ids = []
        for limit in limits:
            cursor.execute(TAKE, _numbers(limit) | {"longest": longest})
            ids.append(int(cursor.fetchone()[0]))
        return Permits(ids)


def give_back(permits: Permits, limits: Sequence[Limit]) -> None:
    """Tell that the call has ended; from now on its permits count for a window more."""
    if not permits.ids:
        return
    with connection.cursor() as cursor:
        cursor.execute(GIVE_BACK, [list(permits.ids), [limit.seconds for limit in limits]])


def forget_idle() -> None:
    """Delete the groups and lines that nobody used for a day; they begin anew when needed."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET)


def _lock(cursor: CursorWrapper, names: list[str]) -> None:
    while True:
        cursor.execute(ENSURE, [names])
        cursor.execute(LOCK, [names])
        if len(cursor.fetchall()) == len(names):
            return
        # One was forgotten between the two.


def _numbers(limit: Limit) -> dict[str, str | int | float]:
    return {
        "group": limit.group,
        "turns": limit.turns,
        "count": limit.count,
        "seconds": limit.seconds,
    }


# A token bucket that holds what two seconds bring.
SPEND = """
    WITH bucket AS (
        SELECT name, least(2 * %(rate)s, tokens + %(rate)s *
            extract(epoch FROM clock_timestamp() - refilled_at)::float) AS tokens
        FROM events_rategroup WHERE name = %(name)s
    ), spent AS (
        SELECT name, tokens, least(floor(tokens), %(wanted)s) AS taken FROM bucket
    )
    UPDATE events_rategroup
    SET tokens = spent.tokens - spent.taken, refilled_at = clock_timestamp()
    FROM spent WHERE events_rategroup.name = spent.name
    RETURNING spent.taken
"""


def spend(name: str, *, rate: int, wanted: int) -> int:
    """Take up to so many from a budget that grows by `rate` a second, and return how many.

    It belongs into the transaction of what is done with them.
    """
    with connection.cursor() as cursor:
        _lock(cursor, [name])
        cursor.execute(SPEND, {"name": name, "rate": rate, "wanted": wanted})
        return int(cursor.fetchone()[0])
