"""The figures of each queue: backlog, throughput, latency, workers and operators' settings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventbook.declare.queues import QueuePolicy, all_policies
from eventbook.deliveries import controls
from eventbook.deliveries.controls import NO_CONTROL, Control
from eventbook.operate.queries.backlogs import Backlog, backlogs
from eventbook.operate.queries.pauses import restored_pauses
from eventbook.operate.queries.processes import workers_by_queue
from eventbook.operate.queries.values import rows


@dataclass(frozen=True, kw_only=True)
class QueueStatus(Backlog):
    """A queue's backlog, throughput, latency, workers, concurrency and rate limits.

    Latencies are milliseconds from recording the event to done. Concurrency and limits are those in
    force; a limit of 0 means unlimited. `workers` counts main processes.
    """

    done: int = 0
    rate_per_second: float = 0.0  # done, over the last minute
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    workers: int = 0
    # Paused before this database was restored from a backup.
    restored: bool = False
    concurrency: int | None = None
    rate_limit: int | None = None
    rate_seconds: int | None = None
    group_limit: int | None = None
    group_seconds: int | None = None


# Latencies are counted in logarithmic steps of half a percent, because sorting them is too slow
# when a million deliveries were done in 5 minutes (record 23).
STEPS = 200
DONE = f"""
    SELECT queue, floor({STEPS} * ln(greatest(
               1000 * date_part('epoch', finished_at - recorded_at), 0.01)))::int AS step,
           count(*), count(*) FILTER (WHERE finished_at >= now() - interval '1 minute')
    FROM eventbook_delivery
    WHERE state = 'done' AND finished_at >= coalesce(%s, now() - interval '5 minutes')
    GROUP BY 1, 2
"""  # noqa: S608 - put together from constants


def queue_status(*, since: datetime | None = None, with_done: bool = True) -> list[QueueStatus]:
    """Return each queue's figures; done deliveries count from `since` on, or over 5 minutes.

    Without `with_done`, the figures of done deliveries are left out, which saves the statement that
    reads all of them.
    """
    policies, set_by_operators = all_policies(), controls.read()
    found = backlogs(list(policies))
    workers = workers_by_queue()
    done = _done(since) if with_done else {}
    restored = restored_pauses() if any(backlog.paused for backlog in found) else set()
    return [
        QueueStatus(
            **vars(backlog) | {"oldest_seconds": round(backlog.oldest_seconds, 3)},
            workers=workers.get(backlog.queue, 0),
            restored=backlog.queue in restored,
            **done.get(backlog.queue, {}),
            **_in_force(
                policies.get(backlog.queue), set_by_operators.get(backlog.queue, NO_CONTROL)
            ),
        )
        for backlog in found
    ]


def _in_force(policy: QueuePolicy | None, control: Control) -> dict[str, Any]:
    """Return the limits and the concurrency in force for a queue."""
    if policy is None:
        return {}
    tuned = control.apply_to(policy)
    return {name: getattr(tuned, name) for name in controls.NUMBERS}


def _done(since: datetime | None) -> dict[str, dict[str, Any]]:
    """Return the throughput and latencies of each queue's done deliveries, by queue."""
    counts: dict[str, dict[int, int]] = defaultdict(dict)
    lately: dict[str, int] = defaultdict(int)
    for queue, step, count, last_minute in rows(DONE, [since]):
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
    """Return the latency, in ms, within which a share (0 to 1) of the deliveries was done.

    `steps` holds the number of deliveries by logarithmic step; the result is the middle of a step.
    """
    wanted, seen, step = share * sum(steps.values()), 0, 0
    for step in sorted(steps):
        seen += steps[step]
        if seen >= wanted:
            break
    return round(math.exp((step + 0.5) / STEPS), 1)
