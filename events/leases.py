"""Leases: how the death of a worker is noticed, and which deliveries it held."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction

from events import deliveries
from events.ids import new_id
from events.queues import QueuePolicy, all_policies, policy_of
from events.registry import Handler

logger = logging.getLogger(__name__)

# Not waiting for the disk: if PostgreSQL itself crashes with the lease unwritten, then the
# delivery is still open, and swept like one whose message was lost.
TAKE = """
    WITH relaxed AS (SELECT set_config('synchronous_commit', 'off', true))
    INSERT INTO events_lease (id, handler, queue, worker, deliveries, expires_at)
    SELECT %s, %s, %s, %s, %s, now() + %s * interval '1 second' FROM relaxed
"""
EXTEND = "UPDATE events_lease SET expires_at = now() + %s * interval '1 second' WHERE id = %s"


def worker_name() -> str:
    """This names the process that works, as operators see it."""
    program = os.environ.get("PROCESS_NAME", "worker")
    return f"{socket.gethostname()}:{program}:{os.getpid()}"


@contextmanager
def lease(handler: Handler, ids: Sequence[int]) -> Iterator[UUID]:
    """This holds a lease on a batch, and extends it for as long as the block runs.

    The block gives it back when it settles the batch; a process that dies can't.
    """
    policy = policy_of(handler.queue)
    id = new_id()
    with connection.cursor() as cursor:
        worker, held = worker_name(), list(ids)
        row: list[Any] = [id, handler.name, handler.queue, worker, held, policy.lease_seconds]
        cursor.execute(TAKE, row)
    ended = threading.Event()
    threading.Thread(target=_extend, args=(id, policy, ended), daemon=True).start()
    try:
        yield id
    finally:
        ended.set()


def _extend(id: UUID, policy: QueuePolicy, ended: threading.Event) -> None:
    try:
        while not ended.wait(policy.lease_seconds / 3):
            _extend_once(id, policy)
    finally:
        connection.close()


def _extend_once(id: UUID, policy: QueuePolicy) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(EXTEND, [policy.lease_seconds, id])
    except DatabaseError as error:
        # The next time may be in time; the call that the lease covers goes on either way.
        logger.warning("lease.extend_failed", extra={"lease": str(id), "error": str(error)})
        connection.close()


def release(id: UUID) -> None:
    """This gives a lease back."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_lease WHERE id = %s", [id])


EXPIRED = "SELECT id FROM events_lease WHERE expires_at < now() ORDER BY id"
TAKE_OVER = """
    SELECT handler, queue, worker, deliveries FROM events_lease
    WHERE id = %s AND expires_at < now() FOR UPDATE SKIP LOCKED
"""
OPEN = """
    SELECT id FROM events_delivery WHERE id = ANY(%s) AND state IN ('queued', 'running')
    ORDER BY id
"""


def take_back_expired() -> int:
    """This takes back what dead workers held, and answers how many leases it took.

    A delivery that was alone in the worker's hands is charged an attempt, so that one that kills
    its worker ends as a dead letter. Those of a larger batch run alone from now on, uncharged.
    """
    with connection.cursor() as cursor:
        cursor.execute(EXPIRED)
        expired = [id for (id,) in cursor.fetchall()]
    return sum(_take_back(id) for id in expired)


def _take_back(id: UUID) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE_OVER, [id])
        row = cursor.fetchone()
        if row is None:
            return False
        handler, queue, worker, ids = row
        cursor.execute(OPEN, [ids])
        still_open = cursor.fetchall()
        cursor.execute(OPEN + "FOR UPDATE SKIP LOCKED", [ids])
        held = [delivery for (delivery,) in cursor.fetchall()]
        if len(held) < len(still_open):
            # The worker's transaction lives on; PostgreSQL ends it when it stays idle.
            return False
        if len(ids) == 1 and held and queue in all_policies():
            error = f"The worker {worker} died, or hung, while it ran {handler}."
            deliveries.fail(held[0], policy=policy_of(queue), worker=worker, error=error)
        else:
            deliveries.isolate(held)
        release(id)
    logger.warning("lease.expired", extra={"handler": handler, "worker": worker, "held": len(held)})
    return True
