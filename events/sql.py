"""Statements that come again and again, or must not meet what is there already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, transaction
from psycopg.postgres import types
from psycopg.pq import Format

# For statements that take few rows: planned once for any parameters, and by indexes, in their
# order, even if tables were empty at that moment. For many rows, by the parameters and the tables
# as they are: nothing is prepared then. To force custom plans would do the same, and plan the check
# of each foreign key of each row.
LEAN = """
    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off
"""
FREE = """
    RESET plan_cache_mode; RESET enable_seqscan; RESET enable_bitmapscan
"""
# For a page of what may be long. To merge, PostgreSQL would walk through a whole table until enough
# has matched, and rows that it finds by a bitmap are all read, to be sorted.
IN_ORDER = """
    SELECT set_config(name, 'off', true)
    FROM (VALUES ('enable_mergejoin'), ('enable_bitmapscan'), ('enable_seqscan')) AS plans (name)
"""

Parameters = Sequence[Any] | Mapping[str, Any]
TIMESTAMPTZ = types["timestamptz"].oid
NOT_AGAIN = "ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Result:
    """What a statement answered, and how many rows it touched."""

    rows: list[Any]
    count: int


class PreparedCursor(psycopg.Cursor[Any]):
    """A cursor whose statements PostgreSQL keeps, with their parameters beside them."""

    keeps = True

    def execute(self, query: Any, params: Any = None, **_: Any) -> PreparedCursor:
        """Run a statement that the server may know already."""
        return super().execute(query, params, prepare=self.keeps)


def execute(statement: str, parameters: Parameters = (), *, prepare: bool = True) -> Result:
    """Run a statement on Django's connection.

    A prepared one is planned by its first executions in a session: for small statements, planning
    costs as much as running. Say `prepare=False` where a good plan depends on the parameters.
    """
    if not prepare:
        with connection.cursor() as made:
            made.execute(statement, parameters)
            return _result(made)
    database: Any = connections[DEFAULT_DB_ALIAS]
    # As Django does before it makes a cursor: the server may have gone since the last task.
    database.close_if_health_check_failed()
    database.ensure_connection()
    # One for all statements of a session: to make a cursor takes as long as to use it, and so do
    # Django's wrappers of one, which are left to those who watch.
    cursor = database.connection.kept_cursor
    if database.execute_wrappers or database.queries_logged:
        cursor = database.make_debug_cursor(cursor)
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        cursor.execute(statement, parameters)
        return _result(cursor)


def with_lean_times(cursor: Any) -> Any:
    """Let a cursor read times as psycopg does, which is in C.

    They are in the session's zone, UTC. Django's loader says so again for each of them, in Python.
    """
    if loader := psycopg.adapters.get_loader(TIMESTAMPTZ, Format.TEXT):
        cursor.adapters.register_loader(TIMESTAMPTZ, loader)
    return cursor


def _result(cursor: Any) -> Result:
    # Whether there are rows, told by what costs less than `description`.
    return Result([] if cursor.rownumber is None else cursor.fetchall(), cursor.rowcount)


def plan(*, lean: bool) -> None:
    """Choose how PostgreSQL plans what this connection runs from now on.

    Outside a transaction: a rollback would take the choice back.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()
    database.ensure_connection()
    with database.wrap_database_errors:
        database.connection.plan(lean=lean)


@contextmanager
def in_order() -> Iterator[None]:
    """What this block reads is planned as a few rows in the order of an index: a page of a list."""
    with transaction.atomic():
        execute(IN_ORDER)
        yield


def is_refusal(error: BaseException) -> bool:
    """Return whether PostgreSQL is there, and only did not do what it was asked in time."""
    return isinstance(
        error.__cause__, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable
    )


def insert_new(statement: str, parameters: Parameters, *, many: bool) -> int:
    """Insert the rows that are not there yet, and return how many.

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
