"""The states of deliveries: each transition is one SQL statement, timed by PostgreSQL's clock.

    outbox ── expand ──▶ queued ── claim, finish ──▶ done
                          │  ▲
                     fail ▼  │ due.claim_due
                         retry          attempts used up: fail ──▶ dead

A delivery is one event for one handler. A handler may divide an event's work by keys, for example
ids of followers; a *part* is a delivery of one range of keys. Open deliveries (queued, running or
retry) have a `due_at`. At that time, the relay publishes a queued or retry delivery, again if it
has before, since its message may be lost. A running delivery is left to the expiry of its lease.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from eventbook.database.statements import execute
from eventbook.declare.events import ALL_KEYS, KeyRange, Recorded, decode
from eventbook.declare.handlers import Handler
from eventbook.declare.queues import QueuePolicy
from eventbook.models import Priority

ERROR_LIMIT = 8_000  # characters of an error that are kept with a delivery
# The payload of a notification that makes the relay poll for due deliveries at once.
DUE_NOW = "due"
# The `error` of a delivery that a rate limit postpones.
RATE_LIMITED = "It waits for its turn under a rate limit."


@dataclass(frozen=True, slots=True)
class Pending:
    """A delivery to publish.

    An `isolated` delivery runs alone, since it is a part, or was in a batch that timed out or lost
    its worker. A `swept` delivery's earlier message counts as lost, perhaps with a worker that died
    before it wrote a lease. Both are `suspect`: they may kill their worker.
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


WAKE = """
    SELECT pg_notify('outbox', %s) WHERE %s < clock_timestamp() + %s * interval '1 second'
"""


def wake_relay(due_at: datetime, *, within: float) -> None:
    """Notify the relay, at the commit, of a due time `within` this many seconds.

    The relay learns of later ones by itself: it polls twice a second.
    """
    execute(WAKE, [DUE_NOW, due_at, within])


def reopen(ids: Sequence[int], *, suspect: Sequence[int] = ()) -> None:
    """Make queued and running deliveries due at once, after the broker or the database failed.

    Deliveries whose ids are also in `suspect` count as swept when they are published again.
    """
    execute(
        "UPDATE eventbook_delivery SET state = 'queued', due_at = now(),"
        " publications = (id = ANY(%s))::int"
        " WHERE id = ANY(%s) AND state IN ('queued', 'running')",
        [list(suspect), list(ids)],
    )


RELEASE_PAUSED = """
    UPDATE eventbook_delivery SET state = 'queued', due_at = now(), publications = %s
    FROM (
        SELECT id FROM eventbook_delivery WHERE id = ANY(%s) AND state = %s
        ORDER BY id FOR UPDATE SKIP LOCKED
    ) AS mine
    WHERE eventbook_delivery.id = mine.id
"""


def release_paused(ids: Sequence[int], *, begun: bool, suspect: bool) -> int:
    """Make deliveries of a paused queue due without charging an attempt; return how many.

    Deliveries that another worker has locked are passed over. `begun` says that this worker has
    marked them as running. With `suspect`, they count as swept when they are published again.
    """
    state = "running" if begun else "queued"
    return execute(RELEASE_PAUSED, [int(suspect), list(ids), state]).count


def isolate(ids: Sequence[int]) -> None:
    """Make deliveries due at once, each in a message of its own, without charging an attempt."""
    execute(
        "UPDATE eventbook_delivery SET state = 'queued', due_at = now(), publications = 0,"
        " isolated = true WHERE id = ANY(%s) AND state IN ('queued', 'running')",
        [list(ids)],
    )


class Claimed(NamedTuple):
    """A row of CLAIM: a delivery that this transaction has locked, with its event as stored.

    `age` is the time since the event was recorded, and `since_ready` the time since the delivery's
    last wait ended (equal if it never waited), both in seconds.
    """

    id: int
    event_id: UUID
    event_type: str
    version: int
    data: str
    recorded_at: datetime
    priority: int
    bounds: str | None
    attempts: int
    traceparent: str
    was_rate_limited: bool
    age: float
    since_ready: float

    def recorded(self) -> Recorded[Any]:
        """Return the event as its handler gets it, upcast to the current version."""
        keys = KeyRange(*json.loads(self.bounds)) if self.bounds else ALL_KEYS
        event = decode(self.event_type, self.version, self.data)
        return Recorded(self.event_id, self.recorded_at, self.priority, event, keys)


CLAIM = """
    SELECT delivery.id, event.id, event.type, event.version, event.data, event.recorded_at,
           event.priority, delivery.bounds, delivery.attempts, event.traceparent,
           delivery.error = %s,
           date_part('epoch', greatest(statement_timestamp() - delivery.recorded_at, '0')),
           date_part('epoch', greatest(
               statement_timestamp() - greatest(delivery.recorded_at, delivery.ready_at), '0'))
    FROM eventbook_delivery AS delivery
    JOIN eventbook_event AS event ON event.id = delivery.event_id
    WHERE delivery.id = ANY(%s) AND delivery.handler = ANY(%s) AND delivery.state = 'queued'
    ORDER BY delivery.id FOR UPDATE OF delivery SKIP LOCKED
"""


def claim(handler: Handler, ids: Sequence[int]) -> list[Claimed]:
    """Lock the queued deliveries among these until the transaction ends, and return them.

    Deliveries that are finished or locked by another worker are passed over, so a message received
    twice has no effect.
    """
    rows = execute(CLAIM, [RATE_LIMITED, list(ids), handler.names]).rows
    return list(map(Claimed._make, rows))  # twice as fast as calling Claimed


SPLIT = """
    INSERT INTO eventbook_delivery (event_id, handler, part, bounds, queue, state, priority, due_at,
                                 isolated, recorded_at)
    SELECT event_id, handler, place, jsonb_build_array(first, after), queue, 'queued', %s, now(),
           true, recorded_at
    FROM eventbook_delivery,
         unnest(%s::bigint[], %s::bigint[]) WITH ORDINALITY AS range (first, after, place)
    WHERE id = %s
    ON CONFLICT (event_id, handler, part) DO NOTHING
"""


def split(id: int, ranges: Sequence[KeyRange]) -> None:
    """Insert a delivery for each range of keys, of an event too large for one transaction.

    Each gets a message of its own, as bulk work. The caller ends the whole delivery, in the same
    transaction. Notify the relay, so that the parts don't wait for its next poll.
    """
    firsts, afters = zip(*ranges, strict=True)
    execute("SELECT pg_notify('outbox', %s)", [DUE_NOW])
    execute(SPLIT, [Priority.BULK, list(firsts), list(afters), id])


def start(ids: Sequence[int], *, policy: QueuePolicy) -> None:
    """Mark claimed deliveries as running, for a handler that works outside a transaction.

    If their worker dies, the expiry of its lease makes them due again (rescue.py).
    """
    execute(
        "UPDATE eventbook_delivery SET state = 'running', due_at = now() + %s * interval '1 second'"
        " WHERE id = ANY(%s)",
        [policy.lease_seconds, list(ids)],
    )


def finish(ids: Sequence[int], *, lease: UUID | None = None) -> None:
    """Mark queued and running deliveries as done, and delete the lease `lease`, if given."""
    execute(
        "WITH released AS (DELETE FROM eventbook_lease WHERE id = %s::uuid)"
        " UPDATE eventbook_delivery SET state = 'done', due_at = NULL,"
        " finished_at = clock_timestamp(), error = '' WHERE id = ANY(%s)"
        " AND state IN ('queued', 'running')",
        [lease, list(ids)],
    )


def delete_lease(id: UUID) -> None:
    """Delete a lease's row."""
    execute("DELETE FROM eventbook_lease WHERE id = %s", [id])


FAIL = """
    WITH failed AS (
        UPDATE eventbook_delivery
        SET attempts = attempts + 1, error = %(error)s,
            state = CASE WHEN attempts < cardinality(waits) THEN 'retry' ELSE 'dead' END,
            due_at = now() + waits[attempts + 1] * interval '1 second',
            finished_at = CASE WHEN attempts >= cardinality(waits) THEN clock_timestamp() END
        FROM (SELECT %(waits)s::float[] AS waits) AS retry
        WHERE id = %(id)s AND state IN ('queued', 'running')
        RETURNING id, attempts, state
    ), noted AS (
        INSERT INTO eventbook_attempt (delivery_id, number, worker, error, failed_at)
        SELECT id, attempts, %(worker)s, %(error)s, clock_timestamp() FROM failed
    )
    SELECT state FROM failed
"""


def fail(id: int, *, waits: Sequence[float], worker: str, error: str) -> str | None:
    """Charge an attempt, and return the new state: `retry`, or `dead` after the last one.

    `waits` has the wait in seconds after each attempt but the last (Handler.waits_after). Return
    None if the delivery is no longer open.
    """
    numbers: dict[str, Any] = {
        "id": id,
        "worker": worker,
        "error": error.replace("\x00", "�")[-ERROR_LIMIT:],
        "waits": list(waits),
    }
    rows = execute(FAIL, numbers).rows
    return str(rows[0][0]) if rows else None


def defer(id: int, *, seconds: float, reason: str) -> None:
    """Postpone a delivery by `seconds` without charging an attempt."""
    execute(
        "UPDATE eventbook_delivery SET state = 'retry', error = %s,"
        " due_at = now() + %s * interval '1 second'"
        " WHERE id = %s AND state IN ('queued', 'running')",
        [reason, seconds, id],
    )


DISCARD_WAITING = """
    WITH free AS MATERIALIZED (
        SELECT id FROM eventbook_delivery
        WHERE id = ANY(%(ids)s) AND state IN ('queued', 'retry')
          AND id NOT IN (SELECT unnest(deliveries) FROM eventbook_lease WHERE expires_at > now())
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), discarded AS (
        UPDATE eventbook_delivery
        SET state = 'discarded', due_at = NULL, finished_at = clock_timestamp()
        FROM free WHERE eventbook_delivery.id = free.id
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM discarded), count(*)
    FROM eventbook_delivery WHERE id = ANY(%(ids)s) AND due_at IS NOT NULL
"""


def discard_waiting(ids: Sequence[int]) -> tuple[int, int]:
    """Discard waiting deliveries; return their number, and that of open ones held by workers."""
    ((discarded, were_open),) = execute(DISCARD_WAITING, {"ids": list(ids)}, prepare=False).rows
    return discarded, were_open - discarded
