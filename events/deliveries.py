"""The states of deliveries: every transition is one statement here, timed by PostgreSQL's clock.

    outbox ── expand ──▶ queued ── claim, finish ──▶ done
                          │  ▲
                     fail ▼  │ due.take
                         retry          attempts used up: fail ──▶ dead

An open delivery has a `due_at`: the time at which the relay looks at it next, to publish it, to
retry it, or because its message must have been lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from events.envelope import KeyRange
from events.models import Priority
from events.queues import QueuePolicy
from events.registry import Handler
from events.sql import execute

ERROR_LIMIT = 8_000  # characters of an error that are kept with a delivery
# The payload that tells the relay to look for what is due.
DUE_NOW = "due"
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


def reopen(ids: Sequence[int]) -> None:
    """Make deliveries due at once: their message did not reach the broker or the handler."""
    execute(
        "UPDATE events_delivery SET state = 'queued', due_at = now(), publications = 0"
        " WHERE id = ANY(%s) AND state IN ('queued', 'running')",
        [list(ids)],
    )


HAND_BACK = """
    UPDATE events_delivery SET state = 'queued', due_at = now(), publications = %s
    FROM (
        SELECT id FROM events_delivery WHERE id = ANY(%s) AND state = %s
        ORDER BY id FOR UPDATE SKIP LOCKED
    ) AS mine
    WHERE events_delivery.id = mine.id
"""


def hand_back(ids: Sequence[int], *, begun: bool, suspect: bool) -> int:
    """Make deliveries of a paused queue due, uncharged, and return how many.

    What another worker holds is passed over; those that this one has `begun` are `running`. What
    was `suspect` is again when it comes back.
    """
    state = "running" if begun else "queued"
    return execute(HAND_BACK, [int(suspect), list(ids), state]).count


def isolate(ids: Sequence[int]) -> None:
    """Let each delivery run alone from now on, at once, and charge none an attempt."""
    execute(
        "UPDATE events_delivery SET state = 'queued', due_at = now(), publications = 0,"
        " isolated = true WHERE id = ANY(%s) AND state IN ('queued', 'running')",
        [list(ids)],
    )


CLAIM = """
    SELECT delivery.id, event.id, event.type, event.version, event.data, event.recorded_at,
           event.priority, delivery.bounds, delivery.attempts, event.traceparent,
           delivery.error = %s,
           date_part('epoch', greatest(statement_timestamp() - delivery.recorded_at, '0')),
           date_part('epoch', greatest(
               statement_timestamp() - greatest(delivery.recorded_at, delivery.ready_at), '0'))
    FROM events_delivery AS delivery JOIN events_event AS event ON event.id = delivery.event_id
    WHERE delivery.id = ANY(%s) AND delivery.handler = ANY(%s) AND delivery.state = 'queued'
    ORDER BY delivery.id FOR UPDATE OF delivery SKIP LOCKED
"""


def claim(handler: Handler, ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """Lock those of the deliveries that are still open until the transaction ends.

    A delivery that is finished, or in another worker's hands, is passed over: so a message that
    comes twice has no effect. Return rows of (delivery id, event id, type, version, data,
    recorded_at, priority, bounds, attempts, traceparent, whether it waited for a rate limit, age in
    seconds, seconds since it could run).
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
    """Make a delivery of its own of each range of keys; each runs alone, as bulk work.

    The relay hears of it, since somebody waits for what is so large.
    """
    firsts, afters = zip(*ranges, strict=True)
    execute("SELECT pg_notify('outbox', %s)", [DUE_NOW])
    execute(SPLIT, [Priority.BULK, list(firsts), list(afters), id])


def start(ids: Sequence[int], *, policy: QueuePolicy) -> None:
    """Mark claimed deliveries as running, for handlers that work outside a transaction."""
    execute(
        "UPDATE events_delivery SET state = 'running', due_at = now() + %s * interval '1 second'"
        " WHERE id = ANY(%s)",
        [policy.lease_seconds, list(ids)],
    )


def finish(ids: Sequence[int], *, lease: UUID | None = None) -> None:
    """Mark deliveries as done, and give back the lease, if they were all that it held."""
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
    """Charge an attempt, and return the new state: `retry`, or `dead` after the last one.

    The wait is exponential with full jitter: uniform between 0 and
    min(cap, base × 2^attempts) seconds
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    Return None when the delivery was not open any more.
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
    """Put a delivery off without charging an attempt."""
    execute(
        "UPDATE events_delivery SET state = 'retry', error = %s,"
        " due_at = now() + %s * interval '1 second'"
        " WHERE id = %s AND state IN ('queued', 'running')",
        [reason, seconds, id],
    )


DISCARD_FREE = """
    WITH free AS MATERIALIZED (
        SELECT id FROM events_delivery
        WHERE id = ANY(%(ids)s) AND state IN ('queued', 'retry')
          AND id NOT IN (SELECT unnest(deliveries) FROM events_lease WHERE expires_at > now())
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), discarded AS (
        UPDATE events_delivery
        SET state = 'discarded', due_at = NULL, finished_at = clock_timestamp()
        FROM free WHERE events_delivery.id = free.id
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM discarded), count(*)
    FROM events_delivery WHERE id = ANY(%(ids)s) AND due_at IS NOT NULL
"""


def discard_free(ids: Sequence[int]) -> tuple[int, int]:
    """Give up what waits, and return how many, and how many more a worker has in hand."""
    ((discarded, were_open),) = execute(DISCARD_FREE, {"ids": list(ids)}, prepare=False).rows
    return discarded, were_open - discarded
