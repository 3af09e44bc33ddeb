"""Leases: how the death of a worker is noticed, and which deliveries it held."""

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

from events.failures import reason
from events.ids import new_id
from events.metrics import counters
from events.queues import QueuePolicy, policy_of
from events.registry import Handler
from events.sql import execute

logger = logging.getLogger(__name__)

# Not waiting for the disk: if PostgreSQL itself crashes with the lease unwritten, then the
# delivery is still open, and swept like one whose message was lost.
TAKE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO events_lease
        (id, handler, queue, worker, deliveries, expires_at, backend, backend_start)
    SELECT %s, %s, %s, %s, %s, now() + %s * interval '1 second', pid, backend_start
    FROM relaxed, pg_stat_get_activity(pg_backend_pid())
"""
EXTEND = """
    UPDATE events_lease
    SET expires_at = now() + %s * interval '1 second', backend = mine.pid,
        backend_start = mine.backend_start
    FROM pg_stat_get_activity(pg_backend_pid()) AS mine WHERE id = %s
"""
# Most batches end sooner, and need no lease.
LAZY_SECONDS = 0.1
# After so long without a batch, the thread that extends leases lets its connection go.
IDLE_SECONDS = 5.0
# It writes what is left of the process's counts when there was no batch to do so.
LEFT_SECONDS = 2 * counters.FLUSH_SECONDS


def worker_name() -> str:
    """Name the process that works, as operators see it."""
    program = os.environ.get("PROCESS_NAME", "worker")
    return f"{socket.gethostname()}:{program}:{os.getpid()}"


@dataclass
class Lease:
    """A process's claim on a batch: `taken` once it is written, and then to be given back."""

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
        """Write the lease, unless the batch has ended."""
        with self.lock:
            if self.taken or self.ended:
                return
            held, policy = list(self.ids), self.policy
            row = [self.id, self.handler.name, policy.name, worker_name(), held]
            execute(TAKE, [*row, policy.lease_seconds])
            self.taken, self.extended = True, time.monotonic()

    def extend(self) -> None:
        """Let the lease run out later."""
        execute(EXTEND, [self.policy.lease_seconds, self.id])
        self.extended = time.monotonic()

    def end(self) -> UUID | None:
        """Keep the lease from being taken any more; return the id of one that was."""
        with self.lock:
            self.ended = True
            return self.id if self.taken else None

    def release(self) -> None:
        """Give the lease back."""
        if id := self.end():
            release(id)


@contextmanager
def lease(handler: Handler, ids: Sequence[int], *, at_once: bool) -> Iterator[Lease]:
    """Hold a lease on a batch for as long as the block runs.

    It is taken when the batch runs for longer than LAZY_SECONDS. With `at_once` it is taken before
    the block begins: then a death is noticed however soon it comes. The block gives it back when it
    settles the batch; a process that dies can't.
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
    """A process's thread that takes and extends the lease of the batch in hand."""

    def __init__(self) -> None:
        self._batch: Lease | None = None
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None
        self._asleep = False

    def beat_for(self, batch: Lease | None) -> None:
        """Make it the batch in hand."""
        self._batch = batch
        if batch is None:
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, daemon=True, name="leases")
            self._thread.start()
        elif self._asleep:
            self._woken.set()

    def _run(self) -> None:
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
        self._asleep = True
        # A batch that came just now found it awake.
        if self._batch is None:
            self._woken.wait()
        self._asleep = False
        self._woken.clear()

    def _look_after(self, batch: Lease) -> None:
        try:
            if not batch.taken:
                if time.monotonic() > batch.began + LAZY_SECONDS:
                    batch.take()
            elif time.monotonic() > batch.extended + batch.policy.lease_seconds / 3:
                batch.extend()
        except (DatabaseError, InterfaceError) as error:
            # The next time may be in time; the call that the lease covers goes on either way.
            logger.warning(
                "lease.extend_failed", extra={"lease": str(batch.id), "error": reason(error)}
            )
            connection.close()


heart = Heart()


def release(id: UUID) -> None:
    """Give a lease back."""
    execute("DELETE FROM events_lease WHERE id = %s", [id])
