"""Ids that are ordered by time: UUIDv7 (RFC 9562), whose first 48 bits are milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new UUIDv7: the present milliseconds since 1970, then random bits."""
    return uuid7()


def first_id_at(time: datetime) -> UUID:
    """Return the smallest UUIDv7 of a moment."""
    milliseconds = max(0, int(time.timestamp() * 1000))
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))


def first_id_at_seconds(seconds: float) -> UUID:
    """Return the smallest UUIDv7 of a moment, in seconds since 1970."""
    return first_id_at(datetime.fromtimestamp(seconds, UTC))


def seconds_of(id: UUID) -> float:
    """Return the time in a UUIDv7, in seconds since 1970."""
    return (id.int >> 80) / 1000


def first_id_in_sql(time: str) -> str:
    """Return SQL for an id just below every UUIDv7 of a moment; `time` is an SQL expression."""
    milliseconds = f"(extract(epoch FROM {time}) * 1000)::bigint"
    return f"(lpad(to_hex({milliseconds}), 12, '0') || repeat('0', 20))::uuid"
