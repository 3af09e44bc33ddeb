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
from eventbook.declare.queues import QueuePolicy, policy_of
from eventbook.deliveries.states import release
from eventbook.observe import counters
from eventbook.observe.failures import connection_error

logger = logging.getLogger(__name__)

# Commit without waiting for the disk: if a crash of PostgreSQL loses the lease, its deliveries are
# still open, and swept as if their message were lost.
TAKE = f"""
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
LAZY_SECONDS = 0.1
# After this long without a batch, the thread that writes leases closes its connection.
IDLE_SECONDS = 5.0
# If no batch has flushed the process's counters for this long, that thread does.
LEFT_SECONDS = 2 * counters.FLUSH_SECONDS


def worker_name() -> str:
    """Return this process's name for operators: host, program and process id."""
    program = conf.PROCESS_GROUP or "worker"
    return f"{socket.gethostname()}:{program}:{os.getpid()}"


@dataclass
class Lease:
    """A process's claim on a batch; once `taken`, its row is in PostgreSQL until it is released."""

    handler: Handler
    ids: Sequence[int]
    id: UUID = field(default_factory=new_id)
    began: float = field(default_factory=time.monotonic)
    taken: bool = False
    extended: float = 0.0
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def policy(self) -> QueuePolicy:
        """Return the policy of the batch's queue."""
        return policy_of(self.handler.queue)

    def take(self) -> None:
        """Write the lease's row, unless it is written or the batch has ended."""
        with self.lock:
            if self.taken or self.ended:
                return
            held, policy = list(self.ids), self.policy
            row = [self.id, self.handler.name, policy.name, worker_name(), held]
            execute(TAKE, [*row, policy.lease_seconds])
            self.taken, self.extended = True, time.monotonic()

    def extend(self) -> None:
        """Postpone the lease's expiry to `lease_seconds` from now."""
        execute(EXTEND, [self.policy.lease_seconds, self.id])
        self.extended = time.monotonic()

    def end(self) -> UUID | None:
        """Forbid writing the lease from now on; return its id if it was written before."""
        with self.lock:
            self.ended = True
            return self.id if self.taken else None

    def release(self) -> None:
        """End the lease, and delete its row if there is one."""
        if id := self.end():
            release(id)


@contextmanager
def lease(handler: Handler, ids: Sequence[int], *, at_once: bool) -> Iterator[Lease]:
    """Provide a lease on a batch, and extend it while the block runs.

    Its row is written after LAZY_SECONDS; with `at_once`, before the block begins, so that a
    worker's death is noticed however soon it comes. The block must release the lease when it
    settles the batch. A lease that isn't released expires, and the relay takes the batch back.
    """
    held = Lease(handler, ids)
    if at_once:
        held.take()
    heart.beat_for(held)
    try:
        yield held
    finally:
        held.end()
        heart.beat_for(None)


class Heart:
    """A thread of each process that writes and extends the lease of the batch being processed."""

    def __init__(self) -> None:
        self._batch: Lease | None = None
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._asleep = False

    def beat_for(self, batch: Lease | None) -> None:
        """Look after this batch's lease from now on; after none, if it is None."""
        self._batch = batch
        if batch is None:
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, daemon=True, name="leases")
            self._thread.start()
        elif self._asleep:
            self._woken.set()

    def _run(self) -> None:
        """Look after the present batch's lease ten times a second; sleep after IDLE_SECONDS."""
        active = time.monotonic()
        while True:
            time.sleep(LAZY_SECONDS)
            if batch := self._batch:
                active = time.monotonic()
                self._look_after(batch)
                continue
            counters.flush(older_than=LEFT_SECONDS)
            if time.monotonic() > active + IDLE_SECONDS and not counters.pending():
                connection.close()
                self._sleep()
                active = time.monotonic()

    def _sleep(self) -> None:
        """Wait until `beat_for` is called with a batch."""
        self._asleep = True
        # If a batch has come since the last check, nobody will wake this thread for it.
        if self._batch is None:
            self._woken.wait()
        self._asleep = False
        self._woken.clear()

    def _look_after(self, batch: Lease) -> None:
        """Write the batch's lease, or extend it, if it is time to."""
        try:
            if not batch.taken:
                if time.monotonic() > batch.began + LAZY_SECONDS:
                    batch.take()
            elif time.monotonic() > batch.extended + batch.policy.lease_seconds / 3:
                batch.extend()
        except (DatabaseError, InterfaceError) as error:
            # The handler goes on, and the next attempt may come before the lease expires.
            logger.warning(
                "lease.extend_failed",
                extra={"lease": str(batch.id), "error": connection_error(error)},
            )
            connection.close()


heart = Heart()
