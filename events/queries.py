"""What the event system knows of itself: the one place of every figure shown anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from events.models import Audit, Delivery
from events.queues import all_policies
from events.services import DeadLetters


@dataclass(frozen=True, kw_only=True)
class QueueStatus:
    """A queue's figures: counts of deliveries, and milliseconds from commit to done."""

    queue: str
    waiting: int = 0
    retrying: int = 0
    in_progress: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0
    done: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


OPEN = """
    SELECT queue,
           count(*) FILTER (WHERE state = 'queued'),
           count(*) FILTER (WHERE state = 'retry'),
           coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float
    FROM events_delivery WHERE due_at IS NOT NULL GROUP BY queue
"""
HELD = """
    SELECT queue, sum(cardinality(deliveries))::int FROM events_lease
    WHERE expires_at > now() GROUP BY queue
"""
DEAD = "SELECT queue, count(*) FROM events_delivery WHERE state = 'dead' GROUP BY queue"
DONE = """
    SELECT queue, count(*),
           percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
               ORDER BY 1000 * extract(epoch FROM finished_at - recorded_at)::float)
    FROM events_delivery
    WHERE state = 'done' AND finished_at >= coalesce(%s, now() - interval '5 minutes')
    GROUP BY queue
"""


def queue_status(*, since: datetime | None = None, finished: bool = True) -> list[QueueStatus]:
    """This answers each queue's figures; what is done counts from `since`, or for 5 minutes.

    Without `finished` it spares the database what reads all of these: a scrape comes often.
    """
    with connection.cursor() as cursor:
        cursor.execute(OPEN)
        waiting = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute(HELD)
        held = dict(cursor.fetchall())
        cursor.execute(DEAD)
        dead = dict(cursor.fetchall())
        done = {}
        if finished:
            cursor.execute(DONE, [since])
            done = {row[0]: row[1:] for row in cursor.fetchall()}
    names = [*all_policies(), *sorted((waiting.keys() | dead.keys()) - all_policies().keys())]
    return [
        _status(name, waiting.get(name), held.get(name, 0), dead.get(name, 0), done.get(name))
        for name in names
    ]


def _status(
    name: str, waiting: tuple[Any, ...] | None, held: int, dead: int, done: tuple[Any, ...] | None
) -> QueueStatus:
    queued, retrying, oldest = waiting or (0, 0, 0.0)
    count, percentiles = done or (0, [None] * 3)
    return QueueStatus(
        queue=name,
        waiting=max(queued - held, 0),
        retrying=retrying,
        in_progress=held,
        dead=dead,
        oldest_seconds=round(oldest, 3),
        done=count,
        p50_ms=_rounded(percentiles[0]),
        p95_ms=_rounded(percentiles[1]),
        p99_ms=_rounded(percentiles[2]),
    )


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


def relay_lag_seconds() -> float:
    """This answers the age of the oldest event that the relay has not taken yet; 0 for none."""
    return float(
        _value(
            "SELECT coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float"
            " FROM events_outboxentry"
        )
    )


def outbox_length() -> int:
    """This answers how many events the relay has not taken yet."""
    return int(_value("SELECT count(*) FROM events_outboxentry"))


def handlers_unknown_here(known: list[str]) -> list[str]:
    """This answers handlers that open deliveries wait for, and that this release doesn't have."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT handler FROM events_delivery"
            " WHERE due_at IS NOT NULL AND handler <> ALL(%s) ORDER BY handler",
            [known],
        )
        return [name for (name,) in cursor.fetchall()]


def open_count(names: list[str]) -> int:
    """This answers how many deliveries are open for these handlers."""
    return Delivery.objects.filter(handler__in=names, due_at__isnull=False).count()


def audits() -> list[tuple[str, int]]:
    """This answers the violations of each rule that the auditor found last."""
    return list(Audit.objects.order_by("rule").values_list("rule", "violations"))


def audit_age_seconds() -> float | None:
    """This answers how long ago the auditor looked, or None if it never has."""
    age = _value("SELECT extract(epoch FROM now() - max(checked_at))::float FROM events_audit")
    return None if age is None else float(age)


def dead_letters(which: DeadLetters, *, limit: int) -> list[Delivery]:
    """This answers the newest dead letters, with their events."""
    letters = Delivery.objects.filter(**which.filters())
    letters = letters.select_related("event").prefetch_related("failures")
    return list(letters.order_by("-finished_at")[:limit])


def _value(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return row[0] if row else None
