"""How outbox entries become deliveries: event × subscribed handler, by one statement."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable

from events.deliveries import Pending
from events.envelope import type_of_name
from events.floors import Floor
from events.ids import first_id_at_seconds, seconds_of
from events.metrics import counters
from events.metrics.families import OTHER
from events.models import Priority
from events.queues import QueuePolicy
from events.registry import Handler
from events.sql import execute

Columns = dict[str, str]

# Not waiting for the disk: should PostgreSQL crash before all of this is written, the entries are
# there again. And whatever a worker commits for these deliveries is written after them.
EXPAND = """
    WITH relaxed AS (
        SELECT set_config('synchronous_commit', 'off', true)
    ), urgent AS MATERIALIZED (
        SELECT ctid AS place FROM events_outboxentry
        WHERE (priority, event_id) >= (%(interactive)s, %(since)s)
        ORDER BY priority, event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), bulk AS MATERIALIZED (
        SELECT ctid AS place FROM events_outboxentry
        WHERE (priority, event_id) >= (%(bulk)s, %(bulk_since)s) AND priority <= %(bulk)s
        ORDER BY priority, event_id LIMIT %(bulk_limit)s FOR UPDATE SKIP LOCKED
    ), picked AS MATERIALIZED (
        SELECT place FROM urgent UNION ALL SELECT place FROM bulk
    ), claimed AS (
        DELETE FROM events_outboxentry USING picked
        WHERE events_outboxentry.ctid = picked.place
        RETURNING events_outboxentry.*
    ), made AS (
        INSERT INTO events_delivery (event_id, handler, queue, state, priority, due_at,
                                     publications, recorded_at)
        SELECT event_id, handler, queue, 'queued', priority,
               now() + redelivery * (room >> priority & 1) * interval '1 second',
               room >> priority & 1, recorded_at
        FROM claimed JOIN unnest(%(types)s::text[], %(handlers)s::text[], %(queues)s::text[],
                                 %(redelivery)s::int[], %(room)s::int[])
             AS subscribed (type, handler, queue, redelivery, room)
             USING (type), relaxed
        ORDER BY event_id
        ON CONFLICT (event_id, handler, part) DO NOTHING
        RETURNING id, event_id, handler, priority, publications
    )
    SELECT event_id, priority, NULL, type, 0 FROM claimed
    UNION ALL SELECT event_id, priority, id, handler, publications FROM made
"""


def columns_of(lanes: Iterable[tuple[Handler, int, QueuePolicy, bool]]) -> Columns:
    """Return what handlers are there, as PostgreSQL writes arrays.

    `lanes` has a row for each handler and priority, with the queue's policy and whether the
    broker has room there: then the delivery counts as published, else it waits, due at once.
    """
    names = ("types", "handlers", "queues", "redelivery", "room")
    rooms: dict[tuple[str | int, ...], int] = defaultdict(int)
    for handler, priority, policy, has_room in lanes:
        row = handler.event_name, handler.name, handler.queue, policy.redelivery_seconds
        # A bit for each lane with room: rows are read for each event that comes alone.
        rooms[row] |= has_room << priority
    rows = [(*row, room) for row, room in rooms.items()]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    # A name in an array is quoted as in JSON.
    arrays = ("{" + ",".join(map(json.dumps, column)) + "}" for column in columns)
    return dict(zip(names, arrays, strict=True))


def expand(
    columns: Columns, floor: Floor, *, limit: int, bulk_limit: int, many: bool = True
) -> tuple[Counter[int], list[Pending]]:
    """Turn up to `limit` outbox entries into deliveries, and `bulk_limit` of bulk work.

    Return how many entries of each priority there were, and the deliveries that must be
    published now. Unless `many` are expected, it goes by a plan that was made for few.
    """
    with floor.look() as since:
        begin = {
            "limit": limit,
            "interactive": int(Priority.INTERACTIVE),
            "since": first_id_at_seconds(since.get(Priority.INTERACTIVE, 0)),
            "bulk_limit": bulk_limit,
            "bulk": int(Priority.BULK),
            "bulk_since": first_id_at_seconds(since.get(Priority.BULK, 0)),
        }
        rows = execute(EXPAND, begin | columns, prepare=not many).rows
        for event, priority, id, *_ in rows:
            if id is None:
                floor.found(priority, seconds_of(event))
    entries = Counter(priority for _, priority, id, *_ in rows if id is None)
    _count_types(name for _, _, id, name, _ in rows if id is None)
    pending = [Pending(id, event, name, lane) for event, lane, id, name, now in rows if now]
    return entries, pending


def _count_types(names: Iterable[str]) -> None:
    for name, amount in Counter(names).items():
        # A newer release's is for a newer relay to know.
        known = name if name in type_of_name else OTHER
        counters.count("events_recorded_total", amount, type=known)
