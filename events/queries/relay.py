"""What the relay has still to take."""

from __future__ import annotations

from events.queries.values import value


def relay_lag_seconds() -> float:
    """Return the age of the oldest event that the relay has not taken yet; 0 for none."""
    return float(
        value(
            "SELECT coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float"
            " FROM events_outboxentry"
        )
    )


def outbox_length() -> int:
    """Return how many events the relay has not taken yet."""
    return int(value("SELECT count(*) FROM events_outboxentry"))
