"""The relay's lag and backlog: the outbox."""

from __future__ import annotations

from eventbook.operate.queries.values import scalar


def relay_lag_seconds() -> float:
    """Return the age of the oldest event in the outbox; 0 if the outbox is empty."""
    return float(
        scalar(
            "SELECT coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float"
            " FROM eventbook_outboxentry WHERE recorded_at <= now()"
        )
    )


def outbox_length() -> int:
    """Return how many events are in the outbox, without those that wait for a later time."""
    return int(scalar("SELECT count(*) FROM eventbook_outboxentry WHERE recorded_at <= now()"))
