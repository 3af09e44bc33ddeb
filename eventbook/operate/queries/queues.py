"""The figures of each queue: backlog, throughput, latency, workers and operators' settings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from eventbook.declare.queues import QueuePolicy, all_policies
from eventbook.deliveries import controls
from eventbook.deliveries.controls import UNTOUCHED, Control
from eventbook.operate.queries.backlogs import backlogs
from eventbook.operate.queries.pauses import restored_pauses


@dataclass(frozen=True, kw_only=True)
class QueueStatus:
    """A queue's figures: counts of deliveries, and milliseconds from commit to done.

    `depth` counts all open deliveries: waiting, in progress and retrying. `oldest_seconds` is how
    long the delivery that has waited longest could have run (backlogs.py). Limits
    and concurrency are those in force; a limit of 0 is none. `workers` counts main processes.
    """

    queue: str
    depth: int = 0
    waiting: int = 0
    retrying: int = 0
    in_progress: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0
    done: int = 0
    rate_per_second: float = 0.0  # done, over the last minute
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    workers: int = 0
    paused: bool = False
    paused_at: datetime | None = None
    paused_by: str = ""
    reason: str = ""
    # Paused before this database was restored from a backup.
    restored: bool = False
    concurrency: int | None = None
    rate_limit: int | None = None
    rate_seconds: int | None = None
    group_limit: int | None = None
    group_seconds: int | None = None


WORKERS = """
    SELECT name, count(*) FROM eventbook_process, unnest(queues) AS name
    WHERE seen_at > now() - interval '15 seconds' GROUP BY name
"""
# Latencies are counted in logarithmic steps of half a percent, because sorting them is too slow
# when a million deliveries were done in 5 minutes (ADR 0023).
STEPS = 200
DONE = f"""
    SELECT queue, floor({STEPS} * ln(greatest(
               1000 * date_part('epoch', finished_at - recorded_at), 0.01)))::int AS step,
           count(*), count(*) FILTER (WHERE finished_at >= now() - interval '1 minute')
    FROM eventbook_delivery
    WHERE state = 'done' AND finished_at >= coalesce(%s, now() - interval '5 minutes')
    GROUP BY 1, 2
"""  # noqa: S608 - put together from constants


def queue_status(*, since: datetime | None = None, finished: bool = True) -> list[QueueStatus]:
    """Return each queue's figures; done deliveries count from `since` on, or over 5 minutes.

    Without `finished`, the figures of done deliveries are left out, which saves the statement that
    reads all of them.
    """
    policies, set_by_operators = all_policies(), controls.read()
    workers, done = dict(_rows(WORKERS)), _done(since) if finished else {}
    found = backlogs(list(policies))
    restored = restored_pauses() if any(backlog.paused_at for backlog in found) else set()
    return [
        QueueStatus(
            queue=backlog.queue,
            depth=backlog.depth,
            waiting=backlog.waiting,
            retrying=backlog.retrying,
            in_progress=backlog.in_progress,
            dead=backlog.dead,
            oldest_seconds=round(backlog.oldest_seconds, 3),
            workers=workers.get(backlog.queue, 0),
            paused=backlog.paused_at is not None,
            paused_at=backlog.paused_at,
            paused_by=backlog.paused_by,
            reason=backlog.reason,
            restored=backlog.queue in restored,
            **done.get(backlog.queue, {}),
            **_numbers(policies.get(backlog.queue), set_by_operators.get(backlog.queue, UNTOUCHED)),
        )
        for backlog in found
    ]


def _numbers(policy: QueuePolicy | None, control: Control) -> dict[str, Any]:
    """Return the limits and the concurrency in force for a queue."""
    if policy is None:
        return {}
    in_force = control.apply_to(policy)
    return {name: getattr(in_force, name) for name in controls.NUMBERS}


def _done(since: datetime | None) -> dict[str, dict[str, Any]]:
    """Return the throughput and latencies of each queue's done deliveries, by queue."""
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
    """Return the milliseconds within which a share (0 to 1) of the deliveries was done."""
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
