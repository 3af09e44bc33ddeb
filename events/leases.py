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

from django.db import DatabaseError, OperationalError, connection, transaction

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
WORKER = f"{socket.gethostname()}:{os.environ.get('PROCESS_NAME', 'worker')}"


@contextmanager
def lease(handler: Handler, ids: Sequence[int]) -> Iterator[UUID]:
    """This holds a lease on a batch, and extends it for as long as the block runs.

    A block that ends, however it ends, gives the lease back; a process that dies can't.
    """
    policy = policy_of(handler.queue)
    id = new_id()
    with connection.cursor() as cursor:
        worker = f"{WORKER}:{os.getpid()}"
        row: list[Any] = [id, handler.name, handler.queue, worker, list(ids), policy.lease_seconds]
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
            with connection.cursor() as cursor:
                cursor.execute(EXTEND, [policy.lease_seconds, id])
    except DatabaseError as error:
        logger.warning("lease.extend_failed", extra={"lease": str(id), "error": str(error)})
    finally:
        connection.close()


def release(id: UUID) -> None:
    """This gives a lease back."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_lease WHERE id = %s", [id])


EXPIRED = """
    SELECT id, handler, queue, worker, deliveries FROM events_lease
    WHERE expires_at < now() ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
"""
# NOWAIT: rows still locked tell that the worker's transaction lives on; then it is too early.
HELD = """
    SELECT id FROM events_delivery WHERE id = ANY(%s) AND state IN ('queued', 'running')
    ORDER BY id FOR UPDATE NOWAIT
"""


def take_back_expired() -> int:
    """This takes back what dead workers held, and answers how many leases had run out.

    A delivery that was alone in the worker's hands is charged an attempt, so that one that kills
    its worker ends as a dead letter. Those of a larger batch run alone from now on, uncharged.
    """
    count = 0
    while _take_back_one():
        count += 1
    return count


def _take_back_one() -> bool:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(EXPIRED)
            row = cursor.fetchone()
            if row is None:
                return False
            id, handler, queue, worker, ids = row
            cursor.execute(HELD, [ids])
            held = [delivery for (delivery,) in cursor.fetchall()]
            if len(ids) == 1 and held and queue in all_policies():
                error = f"The worker {worker} died, or hung, while it ran {handler}."
                deliveries.fail(held[0], policy=policy_of(queue), error=error)
            else:
                deliveries.isolate(held)
            release(id)
    except OperationalError as error:
        if "could not obtain lock" not in str(error):
            raise
        return False
    logger.warning("lease.expired", extra={"handler": handler, "worker": worker, "held": len(held)})
    return True
