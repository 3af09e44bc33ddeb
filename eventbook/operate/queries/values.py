"""A helper to read a single value."""

from __future__ import annotations

from typing import Any

from django.db import connection


def value(statement: str) -> Any:
    """Return the single value that a statement selects, or None if it selects no row."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    return row[0] if row else None
