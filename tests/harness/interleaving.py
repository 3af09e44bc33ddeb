"""Run two transactions in an interleaved order that the test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import psycopg
from django.db import connection, transaction

from tests.harness.processes import environment

T = TypeVar("T")
# Finds a session that waits for a lock.
WAITING = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid = %s
"""


class SecondSession:
    """A second session with an open transaction, on its own connection and thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._atomic = transaction.atomic()
        self.pid = self.do(self._begin)

    def do(self, work: Callable[[], T]) -> T:
        """Run a function in the transaction, and return its result."""
        return self.start(work).result(timeout=30)

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Start a function that may wait for a lock, and return its future."""
        return self._thread.submit(work)

    def commit(self) -> None:
        """Commit the transaction."""
        self.do(self._commit)

    def waits(self) -> bool:
        """Return whether the session waits for a lock."""
        with connection.cursor() as cursor:
            cursor.execute(WAITING, [self.pid])
            return bool(cursor.fetchall())

    def close(self) -> None:
        """Close the session; an uncommitted transaction is rolled back."""
        self._thread.submit(self._close).result(timeout=30)
        self._thread.shutdown()

    def _begin(self) -> int:
        self._atomic.__enter__()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def _commit(self) -> None:
        self._atomic.__exit__(None, None, None)

    def _close(self) -> None:
        if connection.in_atomic_block:
            transaction.set_rollback(True)
            self._commit()
        connection.close()


@contextmanager
def second_session() -> Iterator[SecondSession]:
    """Open a transaction in a second session during the block."""
    session = SecondSession()
    try:
        yield session
    finally:
        session.close()


@contextmanager
def locked(table: str) -> Iterator[None]:
    """Lock a table against all other sessions during the block."""
    with psycopg.connect(environment()["DATABASE_URL"]) as session:
        session.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


def someone_waits() -> bool:
    """Return whether a session waits for the transaction of another one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted"
        )
        return bool(cursor.fetchone()[0])
