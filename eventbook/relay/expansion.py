"""Expansion: turn each outbox entry into one delivery per subscribed handler, by one statement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from eventbook.brokers.broker import Lane
from eventbook.conf import conf
from eventbook.database.ids import first_id_at_seconds, seconds_of
from eventbook.database.statements import RELAXED_COMMIT, execute
from eventbook.declare.bridges import bridges_by_event
from eventbook.declare.events import type_of_name
from eventbook.declare.handlers import Handler, all_handlers
from eventbook.declare.queues import policy_of
from eventbook.deliveries.states import Pending
from eventbook.models import OutboxEntry, Priority
from eventbook.observe import counters
from eventbook.observe.families import OTHER
from eventbook.relay.due import ROUNDING_SECONDS
from eventbook.relay.scan_start import ScanStart

ArrayParameters = dict[str, str]

# Insert the deliveries of the `claimed` entries.
CREATED = """
    created AS (
        INSERT INTO eventbook_delivery (event_id, handler, queue, state, priority, due_at,
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
    -- Rows of two kinds: entries, without the id of a delivery, and deliveries.
    SELECT event_id, priority, NULL, type, 0 FROM claimed
    UNION ALL SELECT event_id, priority, id, handler, publications FROM created
"""
# Commit without waiting for the disk: if PostgreSQL crashes before this is written, the outbox
# entries are back, too. A worker's later commits for these deliveries can't be on disk before it.
EXPAND = f"""
    WITH {RELAXED_COMMIT},
    urgent AS MATERIALIZED (
        SELECT ctid AS place FROM eventbook_outboxentry
        WHERE (priority, event_id) >= (%(interactive)s, %(since)s)
        ORDER BY priority, event_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), bulk AS MATERIALIZED (
        SELECT ctid AS place FROM eventbook_outboxentry
        WHERE (priority, event_id) >= (%(bulk)s, %(bulk_since)s) AND priority <= %(bulk)s
        ORDER BY priority, event_id LIMIT %(bulk_limit)s FOR UPDATE SKIP LOCKED
    ), picked AS MATERIALIZED (
        SELECT place FROM urgent UNION ALL SELECT place FROM bulk
    ), claimed AS (
        DELETE FROM eventbook_outboxentry USING picked
        WHERE eventbook_outboxentry.ctid = picked.place
        RETURNING eventbook_outboxentry.*
    ), {CREATED}
"""  # noqa: S608 - put together from constants
# The first time that has come of the events that waited; null if there is none.
FIRST_WAITING = """
    SELECT date_part('epoch', min(due_at)) FROM eventbook_outboxentry
    WHERE due_at BETWEEN to_timestamp(%(since)s) AND now()
"""
# The same as EXPAND for events whose time has come, and their entries for bridges, which record/
# outbox.py has left out. An entry that is being cancelled is locked, and passed over.
EXPAND_DUE = f"""
    WITH {RELAXED_COMMIT},
    picked AS MATERIALIZED (
        SELECT ctid AS place FROM eventbook_outboxentry
        WHERE due_at BETWEEN to_timestamp(%(since)s) AND now()
        ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ), claimed AS (
        DELETE FROM eventbook_outboxentry AS entry USING picked, eventbook_event AS event
        WHERE entry.ctid = picked.place AND event.id = entry.event_id
        RETURNING event_id, entry.type, event.priority, entry.recorded_at, entry.due_at
    ), bridged AS (
        INSERT INTO eventbook_bridgeentry (bridge, event_id)
        SELECT bridge, event_id FROM claimed
        JOIN unnest(%(bridged_types)s::text[], %(bridges)s::text[]) AS route (type, bridge)
             USING (type)
        ORDER BY due_at, event_id
    ), {CREATED}
"""  # noqa: S608


def array_parameters(
    lanes_with_room: Collection[Lane], handlers: Sequence[Handler] | None = None
) -> ArrayParameters:
    """Return all handlers, or those given, as EXPAND's parameters: each an array literal.

    In a lane with room in the broker, a new delivery counts as published. In others it is due at
    once, and is published when there is room.
    """
    names = ("types", "handlers", "queues", "redelivery", "room")
    rows = [
        (
            known.event_name,
            known.name,
            known.queue,
            policy_of(known.queue).redelivery_seconds,
            # A bit for each lane with room, not a row: even for one event, all rows are read.
            sum(
                1 << priority for priority in Priority if (known.queue, priority) in lanes_with_room
            ),
        )
        for known in (all_handlers() if handlers is None else handlers)
    ]
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    # PostgreSQL quotes the elements of an array as JSON quotes strings.
    arrays = ("{" + ",".join(map(json.dumps, column)) + "}" for column in columns)
    return dict(zip(names, arrays, strict=True))


def expand(
    handlers: ArrayParameters, start: ScanStart, *, limit: int, bulk_limit: int, many: bool = True
) -> tuple[Counter[int], list[Pending]]:
    """Turn up to `limit` interactive and `bulk_limit` bulk outbox entries into deliveries.

    Return how many entries of each priority were claimed, and the deliveries to publish now.
    `handlers` are from `array_parameters`. With `many`, PostgreSQL plans for the present tables;
    without, it uses a stored plan for few rows.
    """
    with start.scan() as since:
        scan = {
            "limit": limit,
            "interactive": int(Priority.INTERACTIVE),
            "since": first_id_at_seconds(since.get(Priority.INTERACTIVE, 0)),
            "bulk_limit": bulk_limit,
            "bulk": int(Priority.BULK),
            "bulk_since": first_id_at_seconds(since.get(Priority.BULK, 0)),
        }
        rows = execute(EXPAND, scan | handlers, prepare=not many).rows
        for event, priority, id, *_ in rows:
            if id is None:
                start.found(priority, seconds_of(event))
    return _outcome(rows)


def expand_due(
    handlers: ArrayParameters, start: ScanStart, *, limit: int
) -> tuple[Counter[int], list[Pending]]:
    """Turn the outbox entries of up to `limit` events whose time has come into deliveries.

    Return the same as `expand`.
    """
    with start.scan() as since:
        scan = {"limit": limit, "since": since.get(OutboxEntry.WAITING, 0) - ROUNDING_SECONDS}
        ((first,),) = execute(FIRST_WAITING, scan).rows
        if first is None:
            return Counter(), []
        start.found(OutboxEntry.WAITING, first)
        return _outcome(execute(EXPAND_DUE, scan | _routes() | handlers, prepare=False).rows)


def _routes() -> dict[str, Any]:
    """Return EXPAND_DUE's parameters of bridges: types of events, each with a bridge for it."""
    by_event = bridges_by_event(conf.BRIDGES)
    routes = [(type, bridge) for type, bridges in by_event.items() for bridge in bridges]
    return {
        "bridged_types": [type for type, _ in routes],
        "bridges": [bridge for _, bridge in routes],
    }


def _outcome(rows: Sequence[Any]) -> tuple[Counter[int], list[Pending]]:
    """Return the numbers of entries by priority, and the deliveries to publish, among the rows."""
    entries = [(priority, type) for _, priority, id, type, _ in rows if id is None]
    _count_types(type for _, type in entries)
    pending = [
        Pending(id, event, handler, priority)
        for event, priority, id, handler, published in rows
        if published
    ]
    return Counter(priority for priority, _ in entries), pending


def _count_types(names: Iterable[str]) -> None:
    """Count recorded events by type, for the metrics."""
    for name, amount in Counter(names).items():
        # A type of a newer release is unknown here: the label must be one of this release's.
        known = name if name in type_of_name else OTHER
        counters.count("events_recorded_total", amount, type=known)
