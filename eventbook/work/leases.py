"""Leases: a worker's claim on a batch, which expires when the worker dies (rescue.py)."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from eventbook.conf import conf
from eventbook.database.ids import new_id
from eventbook.database.statements import RELAXED_COMMIT, execute
from eventbook.declare.handlers import Handler
from eventbook.declare.queues import QueuePolicy
from eventbook.deliveries.states import delete_lease
from eventbook.observe import counters
from eventbook.observe.failures import connection_error

logger = logging.getLogger(__name__)

# Commit without waiting for the disk: if a crash of PostgreSQL loses the lease, its deliveries are
# still open, and swept as if their message were lost.
WRITE = f"""
    WITH {RELAXED_COMMIT}
    INSERT INTO eventbook_lease
        (id, handler, queue, worker, deliveries, expires_at, backend, backend_start)
    SELECT %s, %s, %s, %s, %s, now() + %s * interval '1 second', pid, backend_start
    FROM relaxed, pg_stat_get_activity(pg_backend_pid())
"""  # noqa: S608 - put together from constants
EXTEND = """
    UPDATE eventbook_lease
    SET expires_at = now() + %s * interval '1 second', backend = mine.pid,
        backend_start = mine.backend_start
    FROM pg_stat_get_activity(pg_backend_pid()) AS mine WHERE id = %s
"""
# A lease is written only for a batch that runs longer than this; most are shorter.
WRITE_AFTER_SECONDS = 0.1
# After this long without a batch, the thread that writes leases closes its connection.
IDLE_SECONDS = 5.0
# If no batch has flushed the process's counters for this long, the same thread does.
FLUSH_AFTER_SECONDS = 2 * counters.FLUSH_SECONDS


def worker_name() -> str:
    """Return this process's name for operators: host, program and process id."""
    program = conf.PROCESS_GROUP or "worker"
    return f"{socket.gethostname()}:{program}:{os.getpid()}"


@dataclass
class Lease:
    """A process's claim on a batch; once `written`, its row is in PostgreSQL until its release."""

    handler: Handler
    ids: Sequence[int]
    id: UUID = field(default_factory=new_id)
    began_at: float = field(default_factory=time.monotonic)
    written: bool = False
    extended_at: float = 0.0
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def policy(self) -> QueuePolicy:
        """Return the policy of the batch's queue."""
        return self.handler.policy

    def write(self) -> None:
        """Write the lease's row, unless it is written or the batch has ended."""
        with self.lock:
            if self.written or self.ended:
                return
            policy = self.policy
            row = [self.id, self.handler.name, policy.name, worker_name(), list(self.ids)]
            execute(WRITE, [*row, policy.lease_seconds])
            self.written, self.extended_at = True, time.monotonic()

    def extend(self) -> None:
        """Postpone the lease's expiry to `lease_seconds` from now."""
        execute(EXTEND, [self.policy.lease_seconds, self.id])
        self.extended_at = time.monotonic()

    def end(self) -> UUID | None:
        """Forbid writing the lease from now on; return its id if it was written before."""
        with self.lock:
            self.ended = True
            return self.id if self.written else None

    def release(self) -> None:
        """End the lease, and delete its row if there is one."""
        if id := self.end():
            delete_lease(id)


@contextmanager
def leased(handler: Handler, ids: Sequence[int], *, write_first: bool) -> Iterator[Lease]:
    """Provide a lease on a batch, and extend it while the block runs.

    Its row is written after WRITE_AFTER_SECONDS; with `write_first`, before the block begins, so
    that a worker's death is noticed however soon it comes. The block must release the lease when
    it settles the batch. Otherwise the lease expires, and the relay makes its deliveries due.
    """
    lease = Lease(handler, ids)
    if write_first:
        lease.write()
    lease_thread.watch(lease)
    try:
        yield lease
    finally:
        lease.end()
        lease_thread.watch(None)


class LeaseThread:
    """A thread of each process that writes and extends the lease of the batch being processed."""

    def __init__(self) -> None:
        self._lease: Lease | None = None
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._asleep = False

    def watch(self, lease: Lease | None) -> None:
        """Write and extend this lease from now on, or no lease if `lease` is None."""
        self._lease = lease
        if lease is None:
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, daemon=True, name="leases")
            self._thread.start()
        elif self._asleep:
            self._woken.set()

    def _run(self) -> None:
        """Ten times a second, see to the lease or flush the counters; sleep after IDLE_SECONDS."""
        active = time.monotonic()
        while True:
            time.sleep(WRITE_AFTER_SECONDS)
            if lease := self._lease:
                active = time.monotonic()
                self._write_or_extend(lease)
                continue
            counters.flush(older_than=FLUSH_AFTER_SECONDS)
            if time.monotonic() > active + IDLE_SECONDS and not counters.pending():
                connection.close()
                self._sleep()
                active = time.monotonic()

    def _sleep(self) -> None:
        """Wait until `watch` is called with a lease."""
        self._asleep = True
        # If a batch has begun since the last check, nobody will wake this thread for it.
        if self._lease is None:
            self._woken.wait()
        self._asleep = False
        self._woken.clear()

    def _write_or_extend(self, lease: Lease) -> None:
        """Write the lease after WRITE_AFTER_SECONDS; extend it after each third of its term."""
        try:
            if not lease.written:
                if time.monotonic() > lease.began_at + WRITE_AFTER_SECONDS:
                    lease.write()
            elif time.monotonic() > lease.extended_at + lease.policy.lease_seconds / 3:
                lease.extend()
        except (DatabaseError, InterfaceError) as error:
            # The handler goes on, and the next attempt may come before the lease expires.
            extra = {"lease": str(lease.id), "error": connection_error(error)}
            logger.warning("lease.extend_failed", extra=extra)
            connection.close()


lease_thread = LeaseThread()
