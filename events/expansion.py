"""How outbox entries become deliveries: event × subscribed handler, by one statement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from events.deliveries import Pending
from events.models import Priority
from events.queues import QueuePolicy
from events.registry import Handler
from events.sql import execute

# Not waiting for the disk: should PostgreSQL crash before all of this is written, the entries are
# there again. And whatever a worker commits for these deliveries is written after them.
EXPAND = """
    WITH relaxed AS (
        SELECT set_config('synchronous_commit', 'off', true)
    ), urgent AS MATERIALIZED (
        SELECT event_id FROM events_outboxentry WHERE priority > %(bulk)s
        ORDER BY priority DESC, event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), bulk AS MATERIALIZED (
        SELECT event_id FROM events_outboxentry WHERE priority <= %(bulk)s
        ORDER BY priority DESC, event_id LIMIT %(bulk_limit)s FOR UPDATE SKIP LOCKED
    ), picked AS MATERIALIZED (
        SELECT event_id FROM urgent UNION ALL SELECT event_id FROM bulk
    ), claimed AS (
        DELETE FROM events_outboxentry USING picked
        WHERE events_outboxentry.event_id = picked.event_id
        RETURNING events_outboxentry.*
    ), made AS (
        INSERT INTO events_delivery (event_id, handler, queue, state, priority, due_at,
                                     publications, recorded_at)
        SELECT event_id, handler, queue, 'queued', priority,
               now() + redelivery * open * interval '1 second', open, recorded_at
        FROM claimed JOIN unnest(%(types)s::text[], %(handlers)s::text[], %(queues)s::text[],
                                 %(lanes)s::smallint[], %(redelivery)s::int[], %(open)s::int[])
             AS subscribed (type, handler, queue, priority, redelivery, open)
             USING (type, priority), relaxed
        ORDER BY event_id
        ON CONFLICT (event_id, handler, part) DO NOTHING
        RETURNING id, event_id, handler, priority, publications
    )
    SELECT event_id, priority, NULL, NULL, 0 FROM claimed
    UNION ALL SELECT event_id, priority, id, handler, publications FROM made
"""


def expand(
    lanes: Sequence[tuple[Handler, int, QueuePolicy, bool]],
    *,
    limit: int,
    bulk_limit: int,
    many: bool = True,
) -> tuple[Counter[int], list[Pending]]:
    """This turns up to `limit` outbox entries into deliveries, and `bulk_limit` of bulk work.

    `lanes` has a row for each handler and priority, with the queue's policy and whether the
    broker has room there: then the delivery counts as published, else it waits, due at once.
    It answers how many entries of each priority there were, and the deliveries that must be
    published now. Unless `many` are expected, it goes by a plan that was made for few.
    """
    columns = _columns(tuple(map(_subscription, lanes)))
    limits = {"limit": limit, "bulk_limit": bulk_limit, "bulk": int(Priority.BULK)}
    rows = execute(EXPAND, limits | columns, prepare=not many).rows
    entries = Counter(priority for _, priority, id, *_ in rows if id is None)
    pending = [Pending(id, event, name, lane) for event, lane, id, name, now in rows if now]
    return entries, pending


def _subscription(lane: tuple[Handler, int, QueuePolicy, bool]) -> tuple[str | int, ...]:
    handler, priority, policy, has_room = lane
    return (
        handler.event_name,
        handler.name,
        handler.queue,
        int(priority),
        policy.redelivery_seconds,
        int(has_room),
    )


@lru_cache(maxsize=1_000)
def _columns(rows: tuple[tuple[str | int, ...], ...]) -> dict[str, str]:
    """This answers the columns of these rows, as PostgreSQL writes arrays: mostly they stay."""
    names = ("types", "handlers", "queues", "lanes", "redelivery", "open")
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    # A name in an array is quoted as in JSON.
    arrays = ("{" + ",".join(map(json.dumps, column)) + "}" for column in columns)
    return dict(zip(names, arrays, strict=True))
