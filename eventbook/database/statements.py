"""Run SQL on Django's connection: prepared statements, query plans, and inserts of new rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import psycopg
from django.db import DEFAULT_DB_ALIAS, IntegrityError, connection, connections, transaction

if TYPE_CHECKING:
    from eventbook.database.base import DatabaseWrapper

# For one page of a list that may be long. A merge join may scan a whole table before enough rows
# match, and a bitmap scan reads all matching rows in order to sort them.
IN_ORDER = """
    SELECT set_config(name, 'off', true)
    FROM (VALUES ('enable_mergejoin'), ('enable_bitmapscan'), ('enable_seqscan')) AS plans (name)
"""

# A CTE for statements that read from it: their transaction's commit doesn't wait for the disk.
RELAXED_COMMIT = "relaxed AS (SELECT set_config('synchronous_commit', 'off', true))"

Parameters = Sequence[Any] | Mapping[str, Any]
DO_NOTHING = "ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Result:
    """The rows that a statement returned, and the number of rows it returned or changed."""

    rows: list[Any]
    count: int


def execute(statement: str, parameters: Parameters = (), *, prepare: bool = True) -> Result:
    """Run a statement on Django's connection, prepared by default (see also `plan`).

    A prepared statement is planned only in its first executions in a session; a small statement
    takes as long to plan as to run. Pass `prepare=False` if a good plan depends on the parameters.
    """
    if not prepare:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return _result(cursor)
    database = _database()
    cursor = database.prepared_cursor()
    with database.wrap_database_errors:
        cursor.execute(statement, parameters)
        return _result(cursor)


def _database() -> DatabaseWrapper:
    """Return this thread's connection itself: `connection` is a proxy, which is slower."""
    return cast("DatabaseWrapper", connections[DEFAULT_DB_ALIAS])


def _result(cursor: Any) -> Result:
    # `rownumber` is None for a statement without rows, and costs less than `description`.
    return Result([] if cursor.rownumber is None else cursor.fetchall(), cursor.rowcount)


def plan(*, lean: bool) -> None:
    """Choose how PostgreSQL plans this connection's statements: `lean` for few rows, or for many.

    Call this outside a transaction, since a rollback would undo the choice.
    """
    _database().plan(lean=lean)


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
    without, found, rest = statement.rpartition(DO_NOTHING)
    if not found or rest.strip():
        raise ValueError(f"The statement doesn't end in {DO_NOTHING}.")
    try:
        with transaction.atomic():
            return execute(without, parameters, prepare=False).count
    except IntegrityError:
        return execute(statement, parameters, prepare=False).count
