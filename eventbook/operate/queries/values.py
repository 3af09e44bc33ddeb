"""Helpers that run a statement: for its rows, its rows as objects, or its only value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.db import connection

from eventbook.database.statements import execute

Record = TypeVar("Record")


def rows(statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
    """Return the rows that a statement selects, planned for these parameters."""
    return execute(statement, parameters, prepare=False).rows


def records(kind: type[Record], statement: str, parameters: Sequence[Any] = ()) -> list[Record]:
    """Return a statement's rows as objects of a dataclass, whose fields have the columns' names."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        names = [column.name for column in cursor.description]
        return [kind(**dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def scalar(statement: str) -> Any:
    """Return the single value that a statement selects."""
    ((value,),) = rows(statement)
    return value
