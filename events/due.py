"""What is due: deliveries that must be published, retried, or whose message must have been lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import transaction

from events.deliveries import Pending
from events.limits import spend
from events.models import Priority
from events.queues import QueuePolicy
from events.sql import execute

# Longer than a message waits in a queue at its high-water mark.
OVERDUE_SECONDS = 30
LANES_WITH_DUE = """
    SELECT queue, priority FROM unnest(%s::text[]) AS queue, unnest(%s::smallint[]) AS priority
    WHERE EXISTS (
        SELECT FROM events_delivery AS delivery
        WHERE delivery.queue = queue.queue AND delivery.priority = priority.priority
          AND delivery.due_at <= now()
    )
"""


def lanes(queues: Sequence[str]) -> set[tuple[str, int]]:
    """This answers in which lanes of these queues something is due."""
    priorities = [int(priority) for priority in Priority]
    return set(execute(LANES_WITH_DUE, [list(queues), priorities]).rows)


DUE = """
    FROM events_delivery
    WHERE queue = %(queue)s AND priority = %(priority)s AND due_at <= now()
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
        publications = least(publications + 1, 30000)
    FROM due WHERE events_delivery.ctid = due.place
    RETURNING events_delivery.id, event_id, handler, priority, isolated, swept
"""  # noqa: S608


def take(
    policy: QueuePolicy, *, priority: int, handlers: Sequence[str], sweep: bool, limit: int
) -> list[Pending]:
    """This takes the deliveries of a queue that are due, and answers them for publishing.

    Those that a worker holds are locked and passed over. With `sweep`, it also takes those whose
    message must have been lost; without, only if they are long overdue, so that a queue which is
    never short loses none. Of retries it takes what the queue's budget allows.
    """
    parameters: dict[str, Any] = {
        "queue": policy.name,
        "priority": priority,
        "handlers": list(handlers),
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
