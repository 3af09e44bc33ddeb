"""Expired leases: release the deliveries of workers that died or hang, but not of slow ones."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from eventbook.declare.handlers import handlers
from eventbook.declare.queues import all_policies, policy_of
from eventbook.deliveries import runs, states

logger = logging.getLogger(__name__)

EXPIRED = "SELECT id FROM eventbook_lease WHERE expires_at < now() ORDER BY id"
# PostgreSQL ends a session when the client process ends, and within half a minute, by keepalives,
# when a whole machine is gone (database). A live session means that the worker is only slow.
TAKE_OVER = """
    SELECT id, handler, queue, worker, deliveries,
           extract(epoch FROM now() - started_at)::float,
           EXISTS (
               SELECT FROM pg_stat_get_activity(coalesce(backend, 0)) AS session
               WHERE session.backend_start = eventbook_lease.backend_start
           )
    FROM eventbook_lease
    WHERE id = %s AND expires_at < now() FOR UPDATE SKIP LOCKED
"""
OPEN = """
    SELECT id, isolated FROM eventbook_delivery
    WHERE id = ANY(%s) AND state IN ('queued', 'running')
    ORDER BY id
"""


@dataclass(frozen=True)
class Expired:
    """An expired lease, its age in seconds, and whether its worker's session still lives."""

    id: UUID
    handler: str
    queue: str
    worker: str
    deliveries: list[int]
    seconds: float
    lives: bool

    def may_go_on(self) -> bool:
        """Return whether the worker lives and is within its time limit, which would stop it."""
        if not self.lives or self.queue not in all_policies() or self.handler not in handlers:
            return False
        policy = policy_of(self.queue)
        longest = policy.time_limit_seconds + policy.grace_seconds + policy.lease_seconds
        return self.seconds < longest


def release_expired_leases() -> int:
    """Make the deliveries of expired leases due again, and return the number of these leases.

    A batch of one delivery is charged an attempt, so that a delivery which kills its workers ends
    as a dead letter. Deliveries of a larger batch run alone from now on, uncharged. A worker that
    lives keeps its deliveries until its time limit has passed.
    """
    with connection.cursor() as cursor:
        cursor.execute(EXPIRED)
        expired = [id for (id,) in cursor.fetchall()]
    return sum(_take_back(id) for id in expired)


def _take_back(id: UUID) -> bool:
    """Settle one expired lease and delete it; return False if its worker is left alone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE_OVER, [id])
        row = cursor.fetchone()
        if row is None:
            return False
        lease = Expired(*row)
        is_slow = lease.may_go_on()
        if is_slow and not handlers[lease.handler].atomic:
            return False
        cursor.execute(OPEN, [lease.deliveries])
        still_open = cursor.fetchall()
        cursor.execute(OPEN + "FOR UPDATE SKIP LOCKED", [lease.deliveries])
        held = cursor.fetchall()
        if len(held) < len(still_open):
            # The worker's transaction is still open; PostgreSQL ends it if it stays idle.
            return False
        settled = _settle(lease, held, is_slow=is_slow)
        states.delete_lease(id)
    if lease.handler in handlers:
        runs.count_outcomes(handlers[lease.handler], settled)
    logger.warning(
        "lease.expired",
        extra={
            "handler": lease.handler,
            "queue": lease.queue,
            "worker": lease.worker,
            "held": len(held),
        },
    )
    return True


def _settle(lease: Expired, held: list[tuple[int, bool]], *, is_slow: bool) -> dict[str, int]:
    """Charge a batch of one delivery an attempt, or isolate the deliveries of a larger batch.

    Return how many ended in which state. A slow worker that lost its transaction has lost its work,
    too. The first time, its delivery is isolated instead; the second time it is charged, or a
    delivery that stops every worker would be run for ever.
    """
    was_alone = len(lease.deliveries) == 1 and held and lease.queue in all_policies()
    if not was_alone or (is_slow and not held[0][1]):
        states.isolate([id for id, _ in held])
        return {"isolated": len(held)}
    ((id, _),) = held
    error = f"The worker {lease.worker} died, or hung, while it ran {lease.handler}."
    state = states.fail(id, policy=policy_of(lease.queue), worker=lease.worker, error=error)
    if state == "dead":
        extra = {"delivery": id, "handler": lease.handler, "queue": lease.queue}
        logger.error("delivery.dead", extra=extra | {"error": "its worker died, or hung"})
    return {state: 1} if state else {}
