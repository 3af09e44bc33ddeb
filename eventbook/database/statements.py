"""Run SQL on Django's connection: prepared statements, query plans, and inserts of new rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, transaction
from psycopg.postgres import types
from psycopg.pq import Format

# For statements on few rows. Each is planned once, for any parameters; the plan scans indexes in
# their order, even if the tables were empty at that moment.
LEAN_PLANS = """
    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off
"""
# For statements on many rows, which are not prepared, but planned for their parameters and the
# tables as they are. Forcing custom plans would do this, too, but would also plan the check of each
# foreign key for each row.
DEFAULT_PLANS = """
    RESET plan_cache_mode; RESET enable_seqscan; RESET enable_bitmapscan
"""
# For one page of a list that may be long. A merge join may scan a whole table before enough rows
# match, and a bitmap scan reads all matching rows in order to sort them.
IN_ORDER = """
    SELECT set_config(name, 'off', true)
    FROM (VALUES ('enable_mergejoin'), ('enable_bitmapscan'), ('enable_seqscan')) AS plans (name)
"""

# A CTE for statements that read from it: their transaction's commit doesn't wait for the disk.
RELAXED_COMMIT = "relaxed AS (SELECT set_config('synchronous_commit', 'off', true))"

Parameters = Sequence[Any] | Mapping[str, Any]
TIMESTAMPTZ = types["timestamptz"].oid
NOT_AGAIN = "ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Result:
    """The rows that a statement returned, and the number of rows it returned or changed."""

    rows: list[Any]
    count: int


class PreparedCursor(psycopg.Cursor[Any]):
    """A cursor that has PostgreSQL prepare its statements, unless `keeps` is false."""

    keeps = True

    def execute(self, query: Any, params: Any = None, **_: Any) -> PreparedCursor:
        """Run a statement; prepare it if the server doesn't know it yet."""
        return super().execute(query, params, prepare=self.keeps)


def execute(statement: str, parameters: Parameters = (), *, prepare: bool = True) -> Result:
    """Run a statement on Django's connection, prepared by default (see also `plan`).

    A prepared statement is planned only in its first executions in a session; a small statement
    takes as long to plan as to run. Pass `prepare=False` if a good plan depends on the parameters.
    """
    if not prepare:
        with connection.cursor() as made:
            made.execute(statement, parameters)
            return _result(made)
    database: Any = connections[DEFAULT_DB_ALIAS]
    # As Django does before it creates a cursor: the connection may have broken since the last task.
    database.close_if_health_check_failed()
    database.ensure_connection()
    # One cursor for all statements of a session: creating one takes as long as using it. So does
    # Django's wrapper, which is needed only if statements are wrapped or logged.
    cursor = database.connection.kept_cursor
    if database.execute_wrappers or database.queries_logged:
        cursor = database.make_debug_cursor(cursor)
    database.validate_no_broken_transaction()
    with database.wrap_database_errors:
        cursor.execute(statement, parameters)
        return _result(cursor)


def with_lean_times(cursor: Any) -> Any:
    """Make a cursor parse timestamptz values by psycopg's loader, which is in C; return the cursor.

    Django's loader is slower: for each value it sets the time zone in Python. That is needless,
    since the session's time zone is UTC.
    """
    if loader := psycopg.adapters.get_loader(TIMESTAMPTZ, Format.TEXT):
        cursor.adapters.register_loader(TIMESTAMPTZ, loader)
    return cursor


def _result(cursor: Any) -> Result:
    # `rownumber` is None for a statement without rows, and costs less than `description`.
    return Result([] if cursor.rownumber is None else cursor.fetchall(), cursor.rowcount)


def plan(*, lean: bool) -> None:
    """Choose how PostgreSQL plans this connection's statements: `lean` for few rows, or for many.

    Call this outside a transaction, since a rollback would undo the choice.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    database.close_if_health_check_failed()
    database.ensure_connection()
    with database.wrap_database_errors:
        database.connection.plan(lean=lean)


@contextmanager
def in_order() -> Iterator[None]:
    """Open a transaction whose statements read few rows in an index's order: one page of a list."""
    with transaction.atomic():
        execute(IN_ORDER)
        yield


def is_timeout(error: BaseException) -> bool:
    """Return whether PostgreSQL is up, and only cancelled a statement or timed out on a lock."""
    return isinstance(
        error.__cause__, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable
    )


def insert_new(statement: str, parameters: Parameters, *, many: bool) -> int:
    """Insert the rows that are not there yet, and return how many.

    The statement must end in ON CONFLICT DO NOTHING, which makes each row 50 % more expensive. With
    `many` rows, the statement is first run without it: a conflict is rare, since all rows are new
    unless an event is delivered again. On a conflict, the whole statement is run.
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
