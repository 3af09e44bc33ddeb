"""Leases that ran out: whose worker died or hangs, and whose is only slow."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID

from django.db import connection, transaction

from events import deliveries
from events.leases import release
from events.metrics import runs
from events.queues import all_policies, policy_of
from events.registry import handlers

logger = logging.getLogger(__name__)

EXPIRED = "SELECT id FROM events_lease WHERE expires_at < now() ORDER BY id"
# The server ends a session when the process at its other end does; by its keepalives within half a
# minute where a whole machine has gone (config/postgres). What a starved machine delays is neither.
TAKE_OVER = """
    SELECT id, handler, queue, worker, deliveries,
           extract(epoch FROM now() - started_at)::float,
           EXISTS (
               SELECT FROM pg_stat_get_activity(coalesce(backend, 0)) AS session
               WHERE session.backend_start = events_lease.backend_start
           )
    FROM events_lease
    WHERE id = %s AND expires_at < now() FOR UPDATE SKIP LOCKED
"""
OPEN = """
    SELECT id, isolated FROM events_delivery
    WHERE id = ANY(%s) AND state IN ('queued', 'running')
    ORDER BY id
"""


@dataclass(frozen=True)
class Expired:
    """A lease that ran out."""

    id: UUID
    handler: str
    queue: str
    worker: str
    deliveries: list[int]
    seconds: float
    lives: bool

    def may_go_on(self) -> bool:
        """Return whether its worker lives, and could be at work: it ends what takes too long."""
        if not self.lives or self.queue not in all_policies() or self.handler not in handlers:
            return False
        policy = policy_of(self.queue)
        longest = policy.time_limit_seconds + policy.grace_seconds + policy.lease_seconds
        return self.seconds < longest


def take_back_expired() -> int:
    """Take back what dead workers held, and return how many leases that were.

    A delivery that was alone in the worker's hands is charged an attempt, so that one that kills
    its worker ends as a dead letter. Those of a larger batch run alone from now on, uncharged.
    A worker that lives keeps its work until it would have been ended for taking too long.
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
        lease = Expired(*row)
        is_slow = lease.may_go_on()
        if is_slow and not handlers[lease.handler].atomic:
            return False
        cursor.execute(OPEN, [lease.deliveries])
        still_open = cursor.fetchall()
        cursor.execute(OPEN + "FOR UPDATE SKIP LOCKED", [lease.deliveries])
        held = cursor.fetchall()
        if len(held) < len(still_open):
            # The worker's transaction lives on; PostgreSQL ends it when it stays idle.
            return False
        settled = _settle(lease, held, is_slow=is_slow)
        release(id)
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
    """Charge the delivery that was alone, or let each run alone; return how many ended how.

    A worker that is slow has lost its transaction, and with it all that it did: once, that is
    nobody's fault. Twice is charged, or one that stops every worker would never end.
    """
    was_alone = len(lease.deliveries) == 1 and held and lease.queue in all_policies()
    if not was_alone or (is_slow and not held[0][1]):
        deliveries.isolate([id for id, _ in held])
        return {"isolated": len(held)}
    ((id, _),) = held
    error = f"The worker {lease.worker} died, or hung, while it ran {lease.handler}."
    state = deliveries.fail(id, policy=policy_of(lease.queue), worker=lease.worker, error=error)
    if state == "dead":
        extra = {"delivery": id, "handler": lease.handler, "queue": lease.queue}
        logger.error("delivery.dead", extra=extra | {"error": "its worker died, or hung"})
    return {state: 1} if state else {}
