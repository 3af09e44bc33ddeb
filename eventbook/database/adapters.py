"""Faster conversions of Python lists to PostgreSQL arrays, and of timestamps to Python."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg
from psycopg.abc import Buffer
from psycopg.postgres import types
from psycopg.pq import Format
from psycopg.types.array import ListDumper

TIMESTAMPTZ = types["timestamptz"].oid
# Types whose values never need quotes in an array, and the function that writes a value.
PLAIN: dict[type, Callable[[Any], str]] = {
    int: str,
    UUID: attrgetter("hex"),
    datetime: datetime.isoformat,
}


class PlainListDumper(ListDumper):
    """Converts a list of integers, UUIDs or times without checking each item for quotes.

    psycopg's check takes two fifths of the Python time of a batch of 1,000 events.
    """

    def dump(self, obj: list[Any]) -> Buffer | None:
        """Return the list in PostgreSQL's text format for arrays."""
        kinds = set(map(type, obj))
        write = PLAIN.get(kinds.pop()) if len(kinds) == 1 else None
        if write is None:
            return super().dump(obj)
        return f"{{{','.join(map(write, obj))}}}".encode()


def with_fast_times(cursor: Any) -> Any:
    """Make a cursor parse timestamptz values by psycopg's loader, which is in C; return the cursor.

    Django's loader is slower: for each value it sets the time zone in Python. That is needless,
    since the session's time zone is UTC.
    """
    if loader := psycopg.adapters.get_loader(TIMESTAMPTZ, Format.TEXT):
        cursor.adapters.register_loader(TIMESTAMPTZ, loader)
    return cursor
