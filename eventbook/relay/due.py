"""Due deliveries: those to publish for the first time, to retry, or whose message was lost.

To sweep is to publish a delivery again because its message counts as lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from django.db import transaction

from eventbook.database.statements import execute
from eventbook.declare.handlers import handlers
from eventbook.declare.queues import QueuePolicy
from eventbook.deliveries.limits import spend
from eventbook.deliveries.states import Pending
from eventbook.models import Priority
from eventbook.relay.scan_start import ScanStart

# This long after `due_at`, a message counts as lost even in a long queue: messages in a queue at
# its high-water mark wait for less.
OVERDUE_SECONDS = 30
# More than the rounding error of a time that was converted to a number.
ROUNDING_SECONDS = 0.001
# The first due time of each lane, or now if it is in the future, and whether anything is due. A
# scan that began in the future would miss new deliveries, which are due at once. Running deliveries
# don't count: rescue.py releases them.
FIRST_DUE = """
    SELECT queue, lane.priority, date_part('epoch', least(first.due_at, now())),
           first.due_at <= now()
    FROM unnest(%s::text[], %s::smallint[], %s::float[]) AS lane (queue, priority, since)
    CROSS JOIN LATERAL (
        SELECT due_at FROM eventbook_delivery
        WHERE eventbook_delivery.queue = lane.queue AND eventbook_delivery.priority = lane.priority
          AND due_at >= to_timestamp(lane.since) AND state <> 'running'
        ORDER BY due_at LIMIT 1
    ) AS first
"""


def first_due(queues: Sequence[str], start: ScanStart) -> dict[tuple[str, int], float]:
    """Return the first due time of each (queue, priority) lane that has due deliveries.

    Times are in seconds since 1970. `start` says where the scan of each lane begins.
    """
    lanes = list(product(queues, map(int, Priority)))
    with start.scan() as since:
        begin = [since.get(lane, 0.0) for lane in lanes]
        rows = execute(FIRST_DUE, [*map(list, zip(*lanes, strict=True)), begin]).rows
        for queue, priority, at, _ in rows:
            start.found((queue, priority), at)
    return {(queue, priority): at for queue, priority, at, is_due in rows if is_due}


DUE = """
    FROM eventbook_delivery
    WHERE queue = %(queue)s AND priority = %(priority)s
      AND due_at BETWEEN to_timestamp(%(since)s) AND now()
      AND handler = ANY(%(handlers)s)
"""
RETRIES = f"""
    SELECT count(*) FROM (
        SELECT {DUE} AND state = 'retry' AND attempts > 0 LIMIT %(limit)s
    ) AS due
"""  # noqa: S608 - put together from constants
# Joined by ctid: in a join by id, PostgreSQL may choose a merge through the whole table.
CLAIM_DUE = f"""
    WITH retries AS MATERIALIZED (
        SELECT ctid AS place, false AS swept {DUE} AND state = 'retry' AND attempts > 0
        ORDER BY due_at LIMIT %(retries)s FOR UPDATE SKIP LOCKED
    ), others AS MATERIALIZED (
        SELECT ctid AS place, state = 'queued' AND publications > 0 AS swept {DUE}
          AND (state = 'queued' OR state = 'retry' AND attempts = 0)
          AND (%(sweep)s OR publications = 0 OR state = 'retry'
               OR due_at < now() - %(overdue)s * interval '1 second')
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), due AS (
        SELECT * FROM retries UNION ALL SELECT * FROM others
    )
    UPDATE eventbook_delivery
    SET state = 'queued', due_at = now() + %(redelivery)s * interval '1 second',
        ready_at = CASE WHEN state = 'retry' THEN now() ELSE ready_at END,
        publications = least(publications + 1, 30000)
    FROM due WHERE eventbook_delivery.ctid = due.place
    RETURNING eventbook_delivery.id, event_id, handler, priority, isolated, swept
"""  # noqa: S608
# The seconds until the next event or retry that waits for its time; null if none waits.
NEXT_DUE = """
    SELECT date_part('epoch', min(due_at) - clock_timestamp()) FROM (
        (SELECT due_at FROM eventbook_outboxentry WHERE due_at > now() ORDER BY due_at LIMIT 1)
        UNION ALL
        SELECT first.due_at
        FROM unnest(%s::text[], %s::smallint[]) AS lane (queue, priority)
        CROSS JOIN LATERAL (
            SELECT due_at FROM eventbook_delivery
            WHERE eventbook_delivery.queue = lane.queue
              AND eventbook_delivery.priority = lane.priority
              AND state = 'retry' AND due_at > now()
            ORDER BY due_at LIMIT 1
        ) AS first
    ) AS waiting
"""


def seconds_to_next(queues: Sequence[str]) -> float | None:
    """Return the seconds until an event's time comes, or a retry's of these queues; None if none.

    Published deliveries, which fall due in case their message is lost, don't count.
    """
    lanes = zip(*product(queues, map(int, Priority)), strict=True)
    ((seconds,),) = execute(NEXT_DUE, list(map(list, lanes))).rows
    return None if seconds is None else float(seconds)


def claim_due(
    policy: QueuePolicy, *, priority: int, sweep: bool, limit: int, since: float = 0.0
) -> list[Pending]:
    """Claim due deliveries of a lane, to handlers of this release, and return them for publishing.

    Each becomes `queued`, and due again after the queue's `redelivery_seconds`. Deliveries that a
    worker has locked are passed over. The scan begins at due time `since`, in seconds since 1970.
    `sweep` includes all deliveries whose message counts as lost; without it, only those that are
    OVERDUE_SECONDS late, in case the queue is never short. `limit` applies to all but retries,
    which the queue's `retry_rate` limits.
    """
    parameters: dict[str, Any] = {
        "queue": policy.name,
        "priority": priority,
        "handlers": [name for name, known in handlers.items() if known.queue == policy.name],
        "since": since - ROUNDING_SECONDS,
        "sweep": sweep,
        "overdue": OVERDUE_SECONDS,
        "limit": limit,
        "redelivery": policy.redelivery_seconds,
    }
    with transaction.atomic():
        # Planned at each execution, since the number of due rows varies by orders of magnitude.
        ((wanted,),) = execute(RETRIES, parameters, prepare=False).rows
        budget = f"retries of {policy.name}"
        allowed = spend(budget, rate=policy.retry_rate, wanted=wanted) if wanted else 0
        parameters["retries"] = allowed
        return [Pending(*row) for row in execute(CLAIM_DUE, parameters, prepare=False).rows]
