from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any

import psycopg
from django.conf import settings
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from config.postgres.adapters import PlainListDumper
from config.postgres.session import SESSION
from events.sql import FREE, LEAN, PreparedCursor, with_lean_times

# A server that does not answer this within a second will be connected to anew.
CHECK_SECONDS = 1.0
# One that has answered within this time is there, unless it says that it isn't.
FRESH_SECONDS = 1.0
# With this, a pool checks a connection before it gives it away.
CHECK = ""
AT_REST = (TransactionStatus.IDLE, TransactionStatus.INTRANS)


class StatementOutdated(psycopg.OperationalError):
    """A migration changed what a prepared statement answers; the same request may succeed now."""


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that gives up a server that does not answer.

    A server that is frozen, or cut off by something that still acknowledges what is sent, would
    otherwise be waited for without end: TCP's own timeouts see nothing wrong.
    """

    _limit: float | None = None
    _plans_lean: bool | None = None  # as events/sql.py chooses
    _answered_at = 0.0

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        """Run a statement; a fresh connection needs no check, which every request makes."""
        if query == CHECK and self.is_fresh():
            return self.cursor()
        return super().execute(query, *args, **options)

    def is_fresh(self) -> bool:
        """Return whether the server has just answered, and has said nothing more since.

        A server that ends a connection says so, and then there is something to read.
        """
        if self.closed or time.monotonic() - self._answered_at > FRESH_SECONDS:
            return False
        if self.pgconn.transaction_status not in AT_REST:
            return False
        unread = select.poll()
        unread.register(self.pgconn.socket, select.POLLIN)
        return not unread.poll(0)

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Wait for each answer for no longer than this while the block runs."""
        before, self._limit = self._limit, seconds
        try:
            yield
        finally:
            self._limit = before

    @cached_property
    def kept_cursor(self) -> Any:
        """The one cursor of all prepared statements (events/sql.py)."""
        return with_lean_times(PreparedCursor(self))

    def plan(self, *, lean: bool) -> None:
        """Choose how PostgreSQL plans this session's statements (events/sql.py)."""
        if self._plans_lean != lean:
            self.execute(LEAN if lean else FREE)
            self._plans_lean = self.kept_cursor.keeps = lean

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer: DATABASE_REPLY_SECONDS, if its caller sets no limit."""
        if timeout is None:
            timeout = self._limit or settings.DATABASE_REPLY_SECONDS or None
        try:
            answer = super().wait(gen, interval=interval, timeout=timeout)
        except psycopg.OperationalError:
            # Whoever used this connection next would read the answer that is still to come.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            # What broke this connection broke the others that wait in the pool, too; it would
            # find that out one by one, pausing for longer after each.
            if self.broken and (pool := getattr(self, "_pool", None)):
                pool.drain()
            raise
        except psycopg.errors.FeatureNotSupported as error:
            # It would fail again and again; the next connection prepares its statements anew.
            self.pgconn.finish()
            raise StatementOutdated from error
        self._answered_at = time.monotonic()
        return answer


def impatient(module: ModuleType) -> ModuleType:
    """Return the module psycopg as Django sees it, with these connections."""
    copy = ModuleType(module.__name__)
    copy.__dict__.update(vars(module), connect=ImpatientConnection.connect)
    return copy


class DatabaseWrapper(base.DatabaseWrapper):
    """The backend; Django looks for it under this name."""

    Database = impatient(base.DatabaseWrapper.Database)

    def get_connection_params(self) -> dict[str, Any]:
        """Return what a connection is made with."""
        parameters = super().get_connection_params()
        parameters["context"].adapters.register_dumper(list, PlainListDumper)
        return parameters

    def create_cursor(self, name: str | None = None) -> Any:
        """Make a cursor; most rows have several times."""
        return with_lean_times(super().create_cursor(name))

    def is_usable(self) -> bool:
        """Return whether the server answers on this connection, soon."""
        session = self.connection
        if not isinstance(session, ImpatientConnection):
            return bool(super().is_usable())
        if session.is_fresh():
            return True
        with session.bounded(CHECK_SECONDS):
            return bool(super().is_usable())

    def settings_that_differ(self) -> list[str]:
        """Return the settings that did not reach the session, as something on the way drops them.

        And the encoding of the database, which no session can change.
        """
        wanted = {name.lower(): text for name, text in SESSION.items()} | {
            "server_encoding": "UTF8"
        }
        with self.cursor() as cursor:
            cursor.execute(
                "SELECT lower(name), setting FROM pg_settings WHERE lower(name) = ANY(%s)",
                [list(wanted)],
            )
            return [
                f"{name} is {setting}, not {wanted[name]}"
                for name, setting in sorted(cursor.fetchall())
                if setting != wanted[name]
            ]

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Connect if need be, and bound each wait for an answer while the block runs."""
        self.ensure_connection()
        with self.connection.bounded(seconds):
            yield

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        """Change the mode of the connection, if there is one.

        A transaction that lost its connection ends with this. Connecting again, only to have no
        transaction there, would double the time until its error is told.
        """
        if autocommit and self.connection is None and not self.in_atomic_block:
            self.autocommit = True
            return
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
