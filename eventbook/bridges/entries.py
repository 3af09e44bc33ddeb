"""Entries: the events that a bridge has yet to publish, in order; and the parked ones.

A bridge's position in the event store is the set of its entries. An entry becomes visible with the
commit of its event, so a late commit is never skipped; and of two events of one subject, the
second is recorded after the first has committed. So reading the visible entries by id never shows
a subject's second event without its first (docs/adr/0070).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from eventbook.database.statements import execute

# The first number of the advisory locks of bridges; the second is made from the bridge's name.
LOCKS = 7310580

READ = """
    SELECT entry.id, entry.event_id, event.type, event.version, event.data::text,
           event.recorded_at, event.priority, event.traceparent
    FROM eventbook_bridgeentry AS entry LEFT JOIN eventbook_event AS event
         ON event.id = entry.event_id
    WHERE entry.bridge = %s ORDER BY entry.id LIMIT %s
"""
DELETE = "DELETE FROM eventbook_bridgeentry WHERE id = ANY(%s)"
# Moves entries to the parked messages, each with its reason.
PARK = """
    WITH reasons AS (
        SELECT * FROM unnest(%s::bigint[], %s::text[]) AS reason (entry_id, text)
    ), moved AS (
        DELETE FROM eventbook_bridgeentry AS entry USING reasons
        WHERE entry.id = entry_id RETURNING bridge, event_id, text
    )
    INSERT INTO eventbook_parkedmessage (bridge, event_id, headers, body, reason, parked_at)
    SELECT bridge, event_id, '{}', '', text, now() FROM moved
    ON CONFLICT (bridge, event_id) DO UPDATE SET reason = excluded.reason, parked_at = now()
"""


@dataclass(frozen=True)
class Entry:
    """An entry with its event; `type` is None if the event no longer exists."""

    id: int
    event_id: UUID
    type: str | None
    version: int
    data: str
    recorded_at: datetime
    priority: int
    traceparent: str


def read(bridge: str, limit: int) -> list[Entry]:
    """Return the first entries of a bridge, with their events."""
    return [Entry(*row) for row in execute(READ, [bridge, limit]).rows]


def delete(ids: Collection[int]) -> None:
    """Delete entries: published ones, and those of events that do not leave the system."""
    if ids:
        execute(DELETE, [list(ids)])


def park(reasons: Mapping[int, str]) -> None:
    """Park the messages of entries, given the reason for each entry's id."""
    if reasons:
        execute(PARK, [list(reasons), list(reasons.values())])


def lock(bridge: str) -> bool:
    """Become the one process that publishes for a bridge; return whether this process is.

    The lock belongs to the database session: it ends with the session. A session that has it does
    not take it again.
    """
    statement = """
        SELECT EXISTS (
            SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
              AND classid = %(class)s AND objid = hashtext(%(bridge)s)::bigint & x'ffffffff'::bigint
        ) OR pg_try_advisory_lock(%(class)s, hashtext(%(bridge)s))
    """
    ((is_mine,),) = execute(statement, {"class": LOCKS, "bridge": bridge}).rows
    return bool(is_mine)
