"""What waits, runs, fails and is done in each queue."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from events import controls
from events.controls import UNTOUCHED, Control
from events.queues import QueuePolicy, all_policies


@dataclass(frozen=True, kw_only=True)
class QueueStatus:
    """A queue's figures: counts of deliveries, and milliseconds from commit to done.

    `depth` is all that is open: waiting, in progress and retrying. Limits and concurrency are those
    in force; a limit of 0 is none. `workers` are processes.
    """

    queue: str
    depth: int = 0
    waiting: int = 0
    retrying: int = 0
    in_progress: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0
    done: int = 0
    rate_per_second: float = 0.0  # of the last minute
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    workers: int = 0
    paused: bool = False
    paused_at: datetime | None = None
    paused_by: str = ""
    reason: str = ""
    concurrency: int | None = None
    rate_limit: int | None = None
    rate_seconds: int | None = None
    group_limit: int | None = None
    group_seconds: int | None = None


OPEN = """
    SELECT queue, count(*), count(*) FILTER (WHERE state = 'retry'),
           greatest(date_part('epoch', now() - min(recorded_at)), 0)
    FROM events_delivery WHERE due_at IS NOT NULL GROUP BY queue
"""
# A batch's lease names what it has settled already, too.
HELD = """
    SELECT queue, count(*) FROM events_delivery
    WHERE id = ANY(ARRAY(SELECT unnest(deliveries) FROM events_lease WHERE expires_at > now()))
      AND state IN ('queued', 'running')
    GROUP BY queue
"""
DEAD = "SELECT queue, count(*) FROM events_delivery WHERE state = 'dead' GROUP BY queue"
WORKERS = """
    SELECT name, count(*) FROM events_process, unnest(queues) AS name
    WHERE seen_at > now() - interval '15 seconds' GROUP BY name
"""
PAUSES = "SELECT queue, paused_at, paused_by, reason FROM events_queuecontrol"
# Counted by time, in steps of half a percent, not sorted: a flood leaves a million in 5 minutes.
STEPS = 200
DONE = f"""
    SELECT queue, floor({STEPS} * ln(greatest(
               1000 * date_part('epoch', finished_at - recorded_at), 0.01)))::int AS step,
           count(*), count(*) FILTER (WHERE finished_at >= now() - interval '1 minute')
    FROM events_delivery
    WHERE state = 'done' AND finished_at >= coalesce(%s, now() - interval '5 minutes')
    GROUP BY 1, 2
"""  # noqa: S608 - put together from constants


def queue_status(*, since: datetime | None = None, finished: bool = True) -> list[QueueStatus]:
    """This answers each queue's figures; what is done counts from `since`, or for 5 minutes.

    Without `finished` it spares the database what reads all of these: a scrape comes often.
    """
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    in_hand = dict(_rows(HELD))
    for queue, depth, retrying, oldest in _rows(OPEN):
        held = in_hand.get(queue, 0)
        found[queue] |= {
            "depth": depth,
            "retrying": retrying,
            "in_progress": held,
            "waiting": max(depth - retrying - held, 0),
            "oldest_seconds": round(oldest, 3),
        }
    for queue, dead in _rows(DEAD):
        found[queue]["dead"] = dead
    for queue, figures in _done(since).items() if finished else ():
        found[queue] |= figures
    return _with_controls(found)


def _with_controls(found: Mapping[str, dict[str, Any]]) -> list[QueueStatus]:
    policies, set_by_operators = all_policies(), controls.read()
    workers, pauses = dict(_rows(WORKERS)), {queue: rest for queue, *rest in _rows(PAUSES)}
    return [
        QueueStatus(
            queue=queue,
            workers=workers.get(queue, 0),
            **found.get(queue, {}),
            **_pause(pauses.get(queue)),
            **_numbers(policies.get(queue), set_by_operators.get(queue, UNTOUCHED)),
        )
        for queue in [*policies, *sorted(found.keys() - policies.keys())]
    ]


def _pause(row: Sequence[Any] | None) -> dict[str, Any]:
    paused_at, paused_by, reason = row or (None, "", "")
    names = {"paused_at": paused_at, "paused_by": paused_by, "reason": reason}
    return {"paused": paused_at is not None, **names}


def _numbers(policy: QueuePolicy | None, control: Control) -> dict[str, Any]:
    if policy is None:
        return {}
    in_force = control.over(policy)
    return {name: getattr(in_force, name) for name in controls.NUMBERS}


def _done(since: datetime | None) -> dict[str, dict[str, Any]]:
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    lately: dict[str, int] = defaultdict(int)
    for queue, step, count, last_minute in _rows(DONE, [since]):
        counts[queue][step] = count
        lately[queue] += last_minute
    return {
        queue: {
            "done": sum(steps.values()),
            "rate_per_second": round(lately[queue] / 60, 1),
            "p50_ms": _percentile(steps, 0.5),
            "p95_ms": _percentile(steps, 0.95),
            "p99_ms": _percentile(steps, 0.99),
        }
        for queue, steps in counts.items()
    }


def _percentile(steps: Mapping[int, int], share: float) -> float:
    """This answers the milliseconds within which so large a share was done."""
    wanted, seen, step = share * sum(steps.values()), 0, 0
    for step in sorted(steps):
        seen += steps[step]
        if seen >= wanted:
            break
    return round(math.exp((step + 0.5) / STEPS), 1)


def _rows(statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
