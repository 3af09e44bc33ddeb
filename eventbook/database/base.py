"""The database backend: Django's for PostgreSQL, with time limits and faster checks.

Django loads it as ENGINE `eventbook.database`.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import ModuleType
from typing import Any

import psycopg
from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus

from eventbook.conf import conf
from eventbook.database.adapters import PlainListDumper, with_fast_times
from eventbook.database.session import SESSION

# The time limit, in seconds, of the check whether a connection still works; after it, Django
# connects again.
CHECK_SECONDS = 1.0
# A connection whose server has responded within this many seconds needs no check.
FRESH_SECONDS = 1.0
# psycopg's pool sends this empty statement to check a connection before handing it out.
CHECK = ""
# The states in which the server waits for the client's next statement.
AT_REST = (TransactionStatus.IDLE, TransactionStatus.INTRANS)

# For statements on few rows. Each is planned once, for any parameters; the plan scans indexes in
# their order, even if the tables were empty when it was made.
LEAN_PLANS = """
    SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off
"""
# For statements on many rows, which are not prepared, but planned for their parameters and the
# tables as they are. Forcing custom plans would do this, too, but would also plan the check of each
# foreign key for each row.
DEFAULT_PLANS = """
    RESET plan_cache_mode; RESET enable_seqscan; RESET enable_bitmapscan
"""


class StatementOutdated(psycopg.OperationalError):
    """A migration changed a prepared statement's result columns; a retry may succeed."""


class PreparedCursor(psycopg.Cursor[Any]):
    """A cursor that has PostgreSQL prepare its statements, unless `prepares` is false."""

    prepares = True

    def execute(self, query: Any, params: Any = None, **_: Any) -> PreparedCursor:
        """Run a statement; prepare it if the server doesn't know it yet."""
        return super().execute(query, params, prepare=self.prepares)


class TimeLimitedConnection(psycopg.Connection[Any]):
    """A connection with a time limit for each of the server's responses.

    TCP's own timeouts don't notice a frozen server, nor one behind a proxy that still acknowledges
    packets: without this limit, a process would wait for it for ever.
    """

    _limit: float | None = None
    _plans_lean: bool | None = None  # the last argument of `plan`
    _responded_at = 0.0

    def execute(self, query: Any, *args: Any, **options: Any) -> Any:
        """Run a statement; skip the pool's check, made for each request, on a fresh connection."""
        if query == CHECK and self.is_fresh():
            return self.cursor()
        return super().execute(query, *args, **options)

    def is_fresh(self) -> bool:
        """Return whether the server responded within FRESH_SECONDS and has sent nothing since.

        A server that closes a connection sends a message first, which is then unread data.
        """
        if self.closed or time.monotonic() - self._responded_at > FRESH_SECONDS:
            return False
        if self.pgconn.transaction_status not in AT_REST:
            return False
        unread = select.poll()
        unread.register(self.pgconn.socket, select.POLLIN)
        return not unread.poll(0)

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Limit the wait for each response during the block, in seconds."""
        before, self._limit = self._limit, seconds
        try:
            yield
        finally:
            self._limit = before

    @cached_property
    def prepared_cursor(self) -> Any:
        """The cursor of all prepared statements: creating one takes as long as using it."""
        return with_fast_times(PreparedCursor(self))

    def plan(self, *, lean: bool) -> None:
        """Choose LEAN_PLANS and prepared statements, or DEFAULT_PLANS and unprepared ones."""
        if self._plans_lean != lean:
            self.execute(LEAN_PLANS if lean else DEFAULT_PLANS)
            self._plans_lean = self.prepared_cursor.prepares = lean

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for a response, by default at most DATABASE_REPLY_SECONDS.

        A timeout closes the connection. Raise StatementOutdated after a migration (see there).
        """
        if timeout is None:
            timeout = self._limit or conf.DATABASE_REPLY_SECONDS or None
        try:
            response = super().wait(gen, interval=interval, timeout=timeout)
        except psycopg.OperationalError:
            # The response may still arrive: the next user of this connection would read it.
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                self.pgconn.finish()
            # The pool's other connections are probably broken too. The pool would find them one
            # by one, with a longer pause after each.
            if self.broken and (pool := getattr(self, "_pool", None)):
                pool.drain()
            raise
        except psycopg.errors.FeatureNotSupported as error:
            # The statement would fail each time on this connection; a new one prepares it again.
            self.pgconn.finish()
            raise StatementOutdated from error
        self._responded_at = time.monotonic()
        return response


def with_time_limits(module: ModuleType) -> ModuleType:
    """Return a copy of the module psycopg whose `connect` makes a TimeLimitedConnection."""
    copy = ModuleType(module.__name__)
    copy.__dict__.update(vars(module), connect=TimeLimitedConnection.connect)
    return copy


class DatabaseWrapper(base.DatabaseWrapper):
    """The database backend; Django requires this class name."""

    Database = with_time_limits(base.DatabaseWrapper.Database)

    def get_connection_params(self) -> dict[str, Any]:
        """Return the parameters of a new connection, with the faster conversion of lists."""
        parameters = super().get_connection_params()
        parameters["context"].adapters.register_dumper(list, PlainListDumper)
        return parameters

    def create_cursor(self, name: str | None = None) -> Any:
        """Return a cursor that converts timestamps faster; most rows have several of them."""
        return with_fast_times(super().create_cursor(name))

    def prepared_cursor(self) -> Any:
        """Connect if necessary, and return the connection's cursor of prepared statements."""
        self._connect_if_broken()
        cursor = self.connection.prepared_cursor
        # Django's cursor wrapper takes as long as the cursor itself: use it only where needed.
        if self.execute_wrappers or self.queries_logged:
            cursor = self.make_debug_cursor(cursor)
        self.validate_no_broken_transaction()
        return cursor

    def plan(self, *, lean: bool) -> None:
        """Connect if necessary, and choose how PostgreSQL plans this connection's statements."""
        self._connect_if_broken()
        with self.wrap_database_errors:
            self.connection.plan(lean=lean)

    def _connect_if_broken(self) -> None:
        """Connect if there is no working connection, as Django does before it creates a cursor."""
        self.close_if_health_check_failed()
        self.ensure_connection()

    def is_usable(self) -> bool:
        """Return whether the server responds on this connection within CHECK_SECONDS."""
        session = self.connection
        if not isinstance(session, TimeLimitedConnection):
            return bool(super().is_usable())
        if session.is_fresh():
            return True
        with session.bounded(CHECK_SECONDS):
            return bool(super().is_usable())

    def settings_that_differ(self) -> list[str]:
        """Return the session settings that the server didn't get, each as "NAME is X, not Y".

        Some poolers drop them. The database's encoding is checked too; no session can change it.
        """
        wanted = {name.lower(): text for name, text in SESSION.items()}
        wanted["server_encoding"] = "UTF8"
        query = "SELECT lower(name), setting FROM pg_settings WHERE lower(name) = ANY(%s)"
        with self.cursor() as cursor:
            cursor.execute(query, [list(wanted)])
            return [
                f"{name} is {setting}, not {wanted[name]}"
                for name, setting in sorted(cursor.fetchall())
                if setting != wanted[name]
            ]

    @contextmanager
    def bounded(self, seconds: float) -> Iterator[None]:
        """Connect if necessary, and limit the wait for each response during the block."""
        self.ensure_connection()
        with self.connection.bounded(seconds):
            yield

    def set_autocommit(
        self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False
    ) -> None:
        """Set the autocommit mode, without connecting just for that.

        Django calls this at the end of a transaction. If the connection was lost, connecting again
        would double the time until the transaction's error is reported.
        """
        if autocommit and self.connection is None and not self.in_atomic_block:
            self.autocommit = True
            return
        super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
