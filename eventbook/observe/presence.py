"""The presence of a long-running process: its own row in eventbook_process, kept up to date.

A thread writes the row over its own connection, with short timeouts: a database that is down, or
does not respond, does not disturb the process's work.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connection, connections

from eventbook.conf import conf
from eventbook.database.ids import new_id
from eventbook.database.statements import RELAXED_COMMIT, execute
from eventbook.observe import figures
from eventbook.observe.failures import connection_error
from eventbook.observe.health import serve
from eventbook.observe.vitals import DATABASE, Vitals
from eventbook.observe.watchdog import Watchdog

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
REPORT_SECONDS = 5.0
REPLY_SECONDS = 3.0  # the timeout of one statement
STOP_SECONDS = 2.0  # how long a stopping process waits until its row is deleted

# The commit does not wait for the disk: the row is written again 5 seconds later.
UPSERT = f"""
    WITH {RELAXED_COMMIT}
    INSERT INTO eventbook_process
        (id, "group", host, pid, release, queues, concurrency, memory_bytes, memory_limit_bytes,
         clock_ahead_seconds, streams, trouble, progressed_at)
    SELECT %(id)s, %(group)s, %(host)s, %(pid)s, %(release)s, %(queues)s::text[], %(concurrency)s,
           %(memory)s, %(memory_limit)s, %(clock_ahead)s, %(streams)s, %(trouble)s,
           now() - %(idle)s * interval '1 second'
    FROM relaxed
    ON CONFLICT (id) DO UPDATE SET
        queues = excluded.queues,
        concurrency = excluded.concurrency,
        memory_bytes = excluded.memory_bytes,
        clock_ahead_seconds = excluded.clock_ahead_seconds,
        streams = excluded.streams,
        trouble = excluded.trouble,
        progressed_at = excluded.progressed_at,
        seen_at = now()
"""  # noqa: S608 - put together from constants
PRUNE = "DELETE FROM eventbook_process WHERE seen_at < now() - interval '1 day'"
DELETE = "DELETE FROM eventbook_process WHERE id = %s"


def process_group(otherwise: str) -> str:
    """Return the process group of this process, or `otherwise` if it has none."""
    return conf.PROCESS_GROUP or otherwise


def register_process(group: str, vitals: Vitals) -> Presence:
    """Start to write this process's row and to serve health checks (HEALTH_PORT).

    The caller stops the returned Presence when the process ends normally.
    """
    serve(group, vitals)
    presence = Presence(group, vitals)
    presence.start()
    return presence


class Presence:
    """The row of one process, with the thread that writes it and runs the watchdog."""

    def __init__(self, group: str, vitals: Vitals) -> None:
        self.group, self.vitals = group, vitals
        self.id = new_id()
        self._trouble = ""  # the kind of trouble that was last written to the row
        self._memory_limit = figures.memory_limit_bytes()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="presence")

    def start(self) -> None:
        """Start the thread that writes the row."""
        self._thread.start()

    def stop(self) -> None:
        """Delete the row and end the thread; give up after STOP_SECONDS."""
        self._stopped.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        """Check the vitals each second; write the row every 5 seconds or on new trouble."""
        reported, watchdog = float("-inf"), Watchdog(self.vitals)
        self._query(lambda: execute(PRUNE))
        while not self._stopped.is_set():
            self._query(self.vitals.check)
            # New trouble is written at once: the watchdog may end the process right after.
            is_new = _kind(self.vitals.trouble()) != self._trouble
            if is_new or time.monotonic() >= reported + REPORT_SECONDS:
                reported = time.monotonic()
                self._query(self.write_row)
            watchdog.check()
            self._stopped.wait(POLL_SECONDS)
        self._query(lambda: execute(DELETE, [self.id]))
        connection.close()

    def write_row(self) -> None:
        """Insert or update the process's row with its present figures."""
        row = {
            "id": self.id,
            "group": self.group,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "release": conf.RELEASE,
            "queues": list(self.vitals.queues),
            "concurrency": self.vitals.concurrency,
            "memory": figures.memory_bytes(),
            "memory_limit": self._memory_limit,
            "clock_ahead": figures.clock_ahead_seconds(),
            "streams": self.vitals.streams,
            "trouble": self.vitals.trouble(),
            "idle": self.vitals.idle_seconds(),
        }
        execute(UPSERT, row)
        self._trouble = _kind(str(row["trouble"]))

    def _query(self, function: Callable[[], object]) -> None:
        """Run a function that queries the database; note whether the database is down."""
        try:
            with _bounded():
                function()
            self.vitals.servers_down.discard(DATABASE)
        except (DatabaseError, InterfaceError) as error:
            if DATABASE not in self.vitals.servers_down:
                logger.warning("process.database_down", extra={"error": connection_error(error)})
            self.vitals.servers_down.add(DATABASE)
            connection.close()
        except Exception:
            # A bug here must not end the thread: the row would look like a dead process's.
            logger.exception("process.look_failed")


def _kind(trouble: str) -> str:
    """Return the text of trouble without the numbers after a colon, which change all the time."""
    return trouble.partition(":")[0]


@contextmanager
def _bounded() -> Iterator[None]:
    """Limit each wait on this thread's connection to REPLY_SECONDS while the block runs.

    Afterwards a pooled connection is released: the pool is for requests.
    """
    database: Any = connections[DEFAULT_DB_ALIAS]
    try:
        with database.bounded(REPLY_SECONDS):  # eventbook/database
            yield
    finally:
        if "pool" in database.settings_dict["OPTIONS"]:
            database.close()
