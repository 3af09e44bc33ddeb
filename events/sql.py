"""Statements that come again and again, or must not meet what is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper

# For statements that take few rows: planned once for any parameters, and by indexes even if tables
# were empty at that moment. For many rows, by the parameters and the tables as they are.
LEAN = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"
FREE = "SET plan_cache_mode = force_custom_plan; RESET enable_seqscan"

Parameters = Sequence[Any] | Mapping[str, Any]
NOT_AGAIN = "ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement answered, and how many rows it touched."""

    rows: list[Any]
    count: int


class PreparedCursor(psycopg.Cursor[Any]):
    """A cursor whose statements PostgreSQL keeps, with their parameters beside them."""

    def execute(self, query: Any, params: Any = None, **_: Any) -> PreparedCursor:
        """This runs a statement that the server may know already."""
        return super().execute(query, params, prepare=True)


def execute(statement: str, parameters: Parameters = (), *, prepare: bool = True) -> Result:
    """This runs a statement on Django's connection.

    A prepared one is planned by its first executions in a session: for small statements, planning
    costs as much as running. Say `prepare=False` where a good plan depends on the parameters.
    """
    with _cursor(prepare=prepare) as cursor:
        cursor.execute(statement, parameters)
        return Result(cursor.fetchall() if cursor.description else [], cursor.rowcount)


def _cursor(*, prepare: bool) -> CursorWrapper:
    if not prepare:
        return connection.cursor()
    connection.ensure_connection()
    cursor: Any = PreparedCursor(connection.connection)
    make = connection.make_debug_cursor if connection.queries_logged else connection.make_cursor
    return make(cursor)


def plan(*, lean: bool) -> None:
    """This chooses how PostgreSQL plans what this connection runs from now on.

    Outside a transaction: a rollback would take the choice back.
    """
    connection.ensure_connection()
    session = connection.connection
    if getattr(session, "plans_lean", None) != lean:
        with connection.cursor() as cursor:
            cursor.execute(LEAN if lean else FREE)
        session.plans_lean = lean


def insert_new(statement: str, parameters: Parameters, *, many: bool) -> int:
    """This inserts the rows that are not there yet, and answers how many.

    The statement ends in ON CONFLICT DO NOTHING, which makes every row cost half as much again. So
    where there are many it goes without first: they are new, unless something is delivered again.
    """
    if not many:
        return execute(statement, parameters).count
    without, found, rest = statement.rpartition(NOT_AGAIN)
    if not found or rest.strip():
        raise ValueError(f"The statement doesn't end in {NOT_AGAIN}.")
    try:
        with transaction.atomic():
            return execute(without, parameters, prepare=False).count
    except IntegrityError:
        return execute(statement, parameters, prepare=False).count
