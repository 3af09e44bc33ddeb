"""Identifiers ordered by time."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """This makes a UUIDv7 (RFC 9562): ordered by the millisecond it was made in, then random."""
    return uuid7()
