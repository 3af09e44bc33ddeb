"""The backlog of each bridge."""

from __future__ import annotations

from dataclasses import dataclass

from eventbook.conf import conf
from eventbook.operate.queries.values import records, rows

# By bridge: its entries, and those of bridges that are no longer configured; the age of its first
# entry's event; and its parked messages.
BRIDGES = """
    WITH entries AS (
        SELECT bridge, count(*) AS depth, min(id) AS first_id
        FROM eventbook_bridgeentry GROUP BY bridge
    ), parked AS (
        SELECT bridge, count(*) AS parked FROM eventbook_parkedmessage GROUP BY bridge
    ), known AS (
        SELECT unnest(%s::text[]) AS bridge
        UNION SELECT bridge FROM entries UNION SELECT bridge FROM parked
    )
    SELECT known.bridge AS name, coalesce(depth, 0) AS depth,
           coalesce(extract(epoch FROM now() - event.recorded_at), 0)::float AS lag_seconds,
           coalesce(parked, 0) AS parked
    FROM known LEFT JOIN entries USING (bridge) LEFT JOIN parked USING (bridge)
         LEFT JOIN eventbook_bridgeentry first ON first.id = first_id
         LEFT JOIN eventbook_event event ON event.id = first.event_id
    ORDER BY known.bridge
"""
# How many live processes have each duty, for example `publish nats`.
DUTIES = """
    SELECT duty, count(*) FROM eventbook_process, unnest(queues) AS duty
    WHERE "group" = 'bridge' AND seen_at > now() - interval '15 seconds' GROUP BY duty
"""


@dataclass(frozen=True, kw_only=True)
class BridgeStatus:
    """The state of a bridge: what waits to be published, and what was parked either way."""

    name: str
    depth: int
    lag_seconds: float
    parked: int


def bridge_status() -> list[BridgeStatus]:
    """Return the configured bridges, and others that have entries or parked messages."""
    return records(BridgeStatus, BRIDGES, [[bridge.name for bridge in conf.BRIDGES]])


def bridge_processes() -> dict[str, int]:
    """Return how many live processes have each duty of a bridge: `publish NAME`, `consume NAME`."""
    return dict(rows(DUTIES))
