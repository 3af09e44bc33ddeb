"""Transactions of two people, in an order that a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from django.db import connection, transaction

T = TypeVar("T")
# Another session that waits for a lock which this one, or a third one, holds.
WAITING = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid = %s
"""


class Other:
    """Somebody else's session, on a connection of its own, with a transaction that is open."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._atomic = transaction.atomic()
        self.pid = self.do(self._begin)

    def do(self, work: Callable[[], T]) -> T:
        """Run something in the transaction, and return what it returns."""
        return self.start(work).result(timeout=30)

    def start(self, work: Callable[[], T]) -> Future[T]:
        """Begin something that may have to wait for a lock."""
        return self._thread.submit(work)

    def commit(self) -> None:
        """End the transaction."""
        self.do(self._commit)

    def waits(self) -> bool:
        """Return whether it waits for a lock."""
        with connection.cursor() as cursor:
            cursor.execute(WAITING, [self.pid])
            return bool(cursor.fetchall())

    def leave(self) -> None:
        """Close the session; what was not committed is rolled back."""
        self._thread.submit(self._leave).result(timeout=30)
        self._thread.shutdown()

    def _begin(self) -> int:
        self._atomic.__enter__()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def _commit(self) -> None:
        self._atomic.__exit__(None, None, None)

    def _leave(self) -> None:
        if connection.in_atomic_block:
            transaction.set_rollback(True)
            self._commit()
        connection.close()


@contextmanager
def another() -> Iterator[Other]:
    """Open a transaction in a session of its own."""
    other = Other()
    try:
        yield other
    finally:
        other.leave()
