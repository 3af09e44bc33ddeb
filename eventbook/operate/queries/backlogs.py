"""Each queue's backlog and lateness, by one statement that every page and check uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from eventbook.operate.queries.values import records

# A delivery's lateness is the time for which it could have run but did not start. So the time does
# not count between two attempts, under a rate limit (both are the state `retry`), while the queue
# is paused, or once a worker holds the delivery.
BACKLOGS = """
    WITH held AS MATERIALIZED (
        SELECT DISTINCT unnest(deliveries) AS id FROM eventbook_lease WHERE expires_at > now()
    ), open AS (
        SELECT queue, count(*) AS depth,
               count(*) FILTER (WHERE state = 'retry') AS retrying,
               count(*) FILTER (WHERE state <> 'retry' AND held.id IS NOT NULL) AS in_progress,
               count(*) FILTER (WHERE state <> 'retry' AND held.id IS NULL) AS waiting,
               max(now() - greatest(recorded_at, ready_at))
                   FILTER (WHERE state <> 'retry' AND held.id IS NULL) AS late
        FROM eventbook_delivery LEFT JOIN held USING (id)
        WHERE due_at IS NOT NULL GROUP BY queue
    ), dead AS (
        SELECT queue, count(*) AS dead FROM eventbook_delivery WHERE state = 'dead' GROUP BY queue
    ), known AS (
        SELECT unnest(%s::text[]) AS queue
        UNION SELECT queue FROM open UNION SELECT queue FROM dead
    )
    SELECT queue, coalesce(depth, 0) AS depth, coalesce(waiting, 0) AS waiting,
           coalesce(retrying, 0) AS retrying, coalesce(in_progress, 0) AS in_progress,
           coalesce(dead, 0) AS dead,
           CASE WHEN paused_at IS NULL
                THEN coalesce(greatest(date_part('epoch', least(late, now() - resumed_at)), 0), 0)
                ELSE 0 END AS oldest_seconds,
           paused_at IS NOT NULL AS paused, paused_at, coalesce(paused_by, '') AS paused_by,
           coalesce(reason, '') AS reason
    FROM known LEFT JOIN open USING (queue) LEFT JOIN dead USING (queue)
    LEFT JOIN eventbook_queuecontrol USING (queue)
"""


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """A queue's open deliveries, its dead letters, and whether it is paused.

    `depth` counts all open deliveries: waiting for a worker, in progress and retrying.
    `oldest_seconds` is the largest lateness: how long the delivery that has waited longest could
    have run (0 if none could).
    """

    queue: str
    depth: int = 0
    waiting: int = 0
    retrying: int = 0
    in_progress: int = 0
    dead: int = 0
    oldest_seconds: float = 0.0
    paused: bool = False
    paused_at: datetime | None = None
    paused_by: str = ""
    reason: str = ""

    @property
    def runnable(self) -> int:
        """Return how many deliveries could run now, or run already: 0 while paused."""
        return 0 if self.paused else self.waiting + self.in_progress


def backlogs(queues: Sequence[str]) -> list[Backlog]:
    """Return the backlog of each given queue, then of other queues that have deliveries."""
    found = {backlog.queue: backlog for backlog in records(Backlog, BACKLOGS, [list(queues)])}
    return [found[name] for name in [*queues, *sorted(found.keys() - set(queues))]]
