"""What is due: deliveries that must be published, retried, or whose message must have been lost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from django.db import transaction

from events.deliveries import Pending
from events.floors import Floor
from events.limits import spend
from events.models import Priority
from events.queues import QueuePolicy
from events.sql import execute

# Longer than a message waits in a queue at its high-water mark.
OVERDUE_SECONDS = 30
# More than what a time in PostgreSQL differs from itself as a number.
ROUNDED_SECONDS = 0.001
# What is due later is no floor: what comes next is due at once.
FIRST_DUE = """
    SELECT queue, lane.priority, date_part('epoch', least(first.due_at, now())),
           first.due_at <= now()
    FROM unnest(%s::text[], %s::smallint[], %s::float[]) AS lane (queue, priority, since)
    CROSS JOIN LATERAL (
        SELECT due_at FROM events_delivery
        WHERE events_delivery.queue = lane.queue AND events_delivery.priority = lane.priority
          AND due_at >= to_timestamp(lane.since)
        ORDER BY due_at LIMIT 1
    ) AS first
"""


def lanes(queues: Sequence[str], floor: Floor) -> dict[tuple[str, int], float]:
    """Return in which lanes of these queues something is due, and since when in each.

    That is in seconds since 1970.
    """
    places = list(product(queues, map(int, Priority)))
    with floor.look() as since:
        begin = [since.get(lane, 0.0) for lane in places]
        rows = execute(FIRST_DUE, [*map(list, zip(*places, strict=True)), begin]).rows
        for queue, priority, at, _ in rows:
            floor.found((queue, priority), at)
    return {(queue, priority): at for queue, priority, at, is_due in rows if is_due}


DUE = """
    FROM events_delivery
    WHERE queue = %(queue)s AND priority = %(priority)s
      AND due_at BETWEEN to_timestamp(%(since)s) AND now()
      AND handler = ANY(%(handlers)s)
"""
RETRIES = f"""
    SELECT count(*) FROM (
        SELECT {DUE} AND state = 'retry' AND attempts > 0 LIMIT %(limit)s
    ) AS due
"""  # noqa: S608 - put together from constants
# Joined by where the rows are: by their keys, a merge through the whole table can seem cheaper.
TAKE_DUE = f"""
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
    UPDATE events_delivery
    SET state = 'queued', due_at = now() + %(redelivery)s * interval '1 second',
        ready_at = CASE WHEN state = 'retry' THEN now() ELSE ready_at END,
        publications = least(publications + 1, 30000)
    FROM due WHERE events_delivery.ctid = due.place
    RETURNING events_delivery.id, event_id, handler, priority, isolated, swept
"""  # noqa: S608


def take(
    policy: QueuePolicy,
    *,
    priority: int,
    handlers: Sequence[str],
    sweep: bool,
    limit: int,
    since: float = 0.0,
) -> list[Pending]:
    """Take the deliveries of a queue that are due, and return them for publishing.

    What was due before `since`, in seconds since 1970, is not looked for. Those that a worker holds
    are locked and passed over. With `sweep`, it also takes those whose message must have been lost;
    without, only if they are long overdue, so that a queue which is never short loses none. Of
    retries it takes what the queue's budget allows.
    """
    parameters: dict[str, Any] = {
        "queue": policy.name,
        "priority": priority,
        "handlers": list(handlers),
        "since": since - ROUNDED_SECONDS,
        "sweep": sweep,
        "overdue": OVERDUE_SECONDS,
        "limit": limit,
        "redelivery": policy.redelivery_seconds,
    }
    with transaction.atomic():
        # Planned each time: how many are due differs by orders of magnitude.
        ((wanted,),) = execute(RETRIES, parameters, prepare=False).rows
        budget = f"retries of {policy.name}"
        parameters["retries"] = (
            spend(budget, rate=policy.retry_rate, wanted=wanted) if wanted else 0
        )
        return [Pending(*row) for row in execute(TAKE_DUE, parameters, prepare=False).rows]
