from __future__ import annotations

import time

import psycopg
from django.db import OperationalError, connection
from psycopg import sql

CHECK_SECONDS = 15.0  # between two queries that show whether the server is still there


class Listener:
    """A dedicated connection that waits for PostgreSQL's notifications on one channel.

    One of Django's connections would go on listening after its return to the pool.
    """

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self._connection: psycopg.Connection | None = None
        self._next_check = 0.0

    def wait(self, seconds: float) -> set[str]:
        """Wait up to `seconds` for a notification, and return the payloads received.

        If not connected, connect and return {""} at once. Raise Django's OperationalError if
        PostgreSQL can't be reached.
        """
        try:
            if self._connection is None:
                self._connection = self._connect()
                return {""}  # earlier notifications were missed: the caller must poll now
            self._check(self._connection)
            received = self._connection.notifies(timeout=seconds, stop_after=1)
            return {notification.payload for notification in received}
        except psycopg.OperationalError as error:
            self.close()
            raise OperationalError(str(error)) from error

    def close(self) -> None:
        """Close the connection; the next wait opens a new one."""
        open_connection, self._connection = self._connection, None
        if open_connection is not None:
            open_connection.close()

    def _check(self, open_connection: psycopg.Connection) -> None:
        # Waiting for notifications doesn't notice that a server is gone; a query does.
        if time.monotonic() >= self._next_check:
            open_connection.execute("SELECT 1")
            self._next_check = time.monotonic() + CHECK_SECONDS

    def _connect(self) -> psycopg.Connection:
        """Open a connection outside Django's pool, and listen to the channel."""
        parameters = connection.get_connection_params()
        left_out = ("application_name", "context", "cursor_factory", "prepare_threshold")
        chosen = {name: value for name, value in parameters.items() if name not in left_out}
        # The backend's `connect`, which limits the wait for each response (base.py).
        listening: psycopg.Connection = connection.Database.connect(  # type: ignore[attr-defined]
            **chosen, autocommit=True, application_name="listener"
        )
        self._next_check = time.monotonic() + CHECK_SECONDS
        listening.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self.channel)))
        return listening
