"""The states of deliveries: every transition is one statement here, timed by PostgreSQL's clock.

    outbox ── expand ──▶ queued ── claim, finish ──▶ done
                          │  ▲
                     fail ▼  │ take_due
                         retry          attempts used up: fail ──▶ dead

An open delivery has a `due_at`: the time at which the relay looks at it next, to publish it, to
retry it, or because its message must have been lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from events.envelope import KeyRange
from events.limits import spend
from events.models import Priority
from events.queues import QueuePolicy
from events.registry import Handler
from events.sql import execute

ERROR_LIMIT = 8_000  # characters of an error that are kept with a delivery
# Longer than a message waits in a queue at its high-water mark.
OVERDUE_SECONDS = 30
# What is written to a delivery that a rate limit puts off.
WAITS = "It waits for its turn under a rate limit."


@dataclass(frozen=True, slots=True)
class Pending:
    """A delivery to be published: `swept` tells that an earlier message of it was lost.

    Its worker may have died with it, before anybody could notice: it is `suspect`, and so is one
    that was `isolated` for that.
    """

    id: int
    event_id: UUID
    handler: str
    priority: int
    isolated: bool = False
    swept: bool = False

    @property
    def suspect(self) -> bool:
        return self.isolated or self.swept


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
TAKE_DUE = f"""
    WITH retries AS MATERIALIZED (
        SELECT id, false AS swept {DUE} AND state = 'retry' AND attempts > 0
        ORDER BY due_at LIMIT %(retries)s FOR UPDATE SKIP LOCKED
    ), others AS MATERIALIZED (
        SELECT id, state = 'queued' AND publications > 0 AS swept {DUE}
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
    FROM due WHERE events_delivery.id = due.id
    RETURNING events_delivery.id, event_id, handler, priority, isolated, swept
"""  # noqa: S608


def take_due(
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


def reopen(ids: Sequence[int]) -> None:
    """This makes deliveries due at once: their message did not reach the broker or the handler."""
    execute(
        "UPDATE events_delivery SET state = 'queued', due_at = now(), publications = 0"
        " WHERE id = ANY(%s) AND state IN ('queued', 'running')",
        [list(ids)],
    )


def isolate(ids: Sequence[int]) -> None:
    """This lets each delivery run alone from now on, at once, and charges none an attempt."""
    execute(
        "UPDATE events_delivery SET state = 'queued', due_at = now(), publications = 0,"
        " isolated = true WHERE id = ANY(%s) AND state IN ('queued', 'running')",
        [list(ids)],
    )


CLAIM = """
    SELECT delivery.id, event.id, event.type, event.version, event.data, event.recorded_at,
           event.priority, delivery.bounds, delivery.error = %s
    FROM events_delivery AS delivery JOIN events_event AS event ON event.id = delivery.event_id
    WHERE delivery.id = ANY(%s) AND delivery.handler = ANY(%s) AND delivery.state = 'queued'
    ORDER BY delivery.id FOR UPDATE OF delivery SKIP LOCKED
"""


def claim(handler: Handler, ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """This locks those of the deliveries that are still open until the transaction ends.

    A delivery that is finished, or in another worker's hands, is passed over: so a message that
    comes twice has no effect. It answers rows of (delivery id, event id, type, version, data,
    recorded_at, priority, bounds, whether it waited for a rate limit).
    """
    return execute(CLAIM, [WAITS, list(ids), handler.names]).rows


SPLIT = """
    INSERT INTO events_delivery (event_id, handler, part, bounds, queue, state, priority, due_at,
                                 isolated, recorded_at)
    SELECT event_id, handler, place, jsonb_build_array(first, after), queue, 'queued', %s, now(),
           true, recorded_at
    FROM events_delivery,
         unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS range (first, after, place)
    WHERE id = %s
    ON CONFLICT (event_id, handler, part) DO NOTHING
"""


def split(id: int, ranges: Sequence[KeyRange]) -> None:
    """This makes a delivery of its own of each range of keys; each runs alone, as bulk work."""
    firsts, afters = zip(*ranges, strict=True)
    execute(SPLIT, [Priority.BULK, list(firsts), list(afters), id])


def start(ids: Sequence[int], *, policy: QueuePolicy) -> None:
    """This marks claimed deliveries as running, for handlers that work outside a transaction."""
    execute(
        "UPDATE events_delivery SET state = 'running', due_at = now() + %s * interval '1 second'"
        " WHERE id = ANY(%s)",
        [policy.lease_seconds, list(ids)],
    )


def finish(ids: Sequence[int], *, lease: UUID | None = None) -> None:
    """This marks deliveries as done, and gives back the lease, if they were all that it held."""
    execute(
        "WITH released AS (DELETE FROM events_lease WHERE id = %s::uuid)"
        " UPDATE events_delivery SET state = 'done', due_at = NULL,"
        " finished_at = clock_timestamp(), error = '' WHERE id = ANY(%s)"
        " AND state IN ('queued', 'running')",
        [lease, list(ids)],
    )


FAIL = """
    WITH failed AS (
        UPDATE events_delivery
        SET attempts = attempts + 1, error = %(error)s,
            state = CASE WHEN attempts + 1 >= %(max)s THEN 'dead' ELSE 'retry' END,
            due_at = CASE WHEN attempts + 1 < %(max)s
                THEN now() + random() * least(%(cap)s, %(base)s * power(2, attempts))
                     * interval '1 second' END,
            finished_at = CASE WHEN attempts + 1 >= %(max)s THEN clock_timestamp() END
        WHERE id = %(id)s AND state IN ('queued', 'running')
        RETURNING id, attempts, state
    ), noted AS (
        INSERT INTO events_attempt (delivery_id, number, worker, error, failed_at)
        SELECT id, attempts, %(worker)s, %(error)s, clock_timestamp() FROM failed
    )
    SELECT state FROM failed
"""


def fail(id: int, *, policy: QueuePolicy, worker: str, error: str) -> str | None:
    """This charges an attempt, and answers the new state: `retry`, or `dead` after the last one.

    The wait is exponential with full jitter: uniform between 0 and
    min(cap, base × 2^attempts) seconds
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    It answers None when the delivery was not open any more.
    """
    numbers: dict[str, Any] = {
        "id": id,
        "worker": worker,
        "error": error.replace("\x00", "�")[-ERROR_LIMIT:],
        "max": policy.max_attempts,
        "base": policy.backoff_seconds,
        "cap": policy.backoff_cap_seconds,
    }
    rows = execute(FAIL, numbers).rows
    return str(rows[0][0]) if rows else None


def defer(id: int, *, seconds: float, reason: str) -> None:
    """This puts a delivery off without charging an attempt."""
    execute(
        "UPDATE events_delivery SET state = 'retry', error = %s,"
        " due_at = now() + %s * interval '1 second'"
        " WHERE id = %s AND state IN ('queued', 'running')",
        [reason, seconds, id],
    )
