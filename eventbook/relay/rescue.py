"""Rescue: release the expired leases of workers that died or hang, but not of slow ones."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from eventbook.database.statements import execute
from eventbook.declare.handlers import handlers
from eventbook.declare.queues import all_policies, policy_of
from eventbook.declare.retries import AS_THE_QUEUE, waits_of
from eventbook.deliveries import runs, states

logger = logging.getLogger(__name__)

EXPIRED = "SELECT id FROM eventbook_lease WHERE expires_at < now() ORDER BY id"
# PostgreSQL ends a session when the client process ends; if a whole machine is gone, within half a
# minute, by keepalives (database/configuration.py). So a worker with a session is only slow.
LOCK_EXPIRED = """
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
LOCK_OPEN = f"{OPEN} FOR UPDATE SKIP LOCKED"


@dataclass(frozen=True)
class ExpiredLease:
    """An expired lease, its age in seconds, and whether its worker's session still exists."""

    id: UUID
    handler: str
    queue: str
    worker: str
    deliveries: list[int]
    seconds: float
    has_session: bool

    def may_be_working(self) -> bool:
        """Return whether the worker lives and is within its time limit, which would stop it."""
        if not self.has_session or self.queue not in all_policies() or self.handler not in handlers:
            return False
        policy = handlers[self.handler].policy
        return self.seconds < policy.longest_run_seconds + policy.lease_seconds


def release_expired_leases() -> int:
    """Make the deliveries of expired leases due again, and return the number of these leases.

    A batch of one delivery is charged an attempt, so that a delivery which kills its workers ends
    as a dead letter. Deliveries of a larger batch run alone from now on, uncharged. A worker that
    lives keeps its deliveries until its time limit, unless its transaction has ended.
    """
    return sum(_release_expired(id) for (id,) in execute(EXPIRED).rows)


def _release_expired(id: UUID) -> bool:
    """Settle the deliveries of an expired lease and delete it; return False if the lease stays."""
    with transaction.atomic():
        if not (rows := execute(LOCK_EXPIRED, [id]).rows):
            return False  # another relay releases it, or its worker has extended it
        lease = ExpiredLease(*rows[0])
        is_slow = lease.may_be_working()
        if is_slow and not handlers[lease.handler].atomic:
            return False  # it works outside a transaction, so no lock would show that
        still_open = execute(OPEN, [lease.deliveries]).count
        locked = execute(LOCK_OPEN, [lease.deliveries]).rows
        if len(locked) < still_open:
            # The worker's transaction is still open; PostgreSQL ends it if it stays idle.
            return False
        settled = _settle(lease, locked, is_slow=is_slow)
        states.delete_lease(id)
    if lease.handler in handlers:
        runs.count_outcomes(handlers[lease.handler], settled)
    details = {"handler": lease.handler, "queue": lease.queue, "worker": lease.worker}
    logger.warning("lease.expired", extra=details | {"held": len(locked)})
    return True


def _settle(
    lease: ExpiredLease, locked: list[tuple[int, bool]], *, is_slow: bool
) -> dict[str, int]:
    """Charge a batch of one delivery an attempt, or isolate the deliveries of a larger batch.

    `locked` has the id of each delivery and whether it is isolated. Return the number of deliveries
    by outcome. A single delivery of a slow worker, whose transaction has ended, is isolated the
    first time and charged the second, or a delivery that stops every worker would run for ever.
    """
    was_alone = len(lease.deliveries) == 1 and locked and lease.queue in all_policies()
    if not was_alone or (is_slow and not locked[0][1]):
        states.isolate([id for id, _ in locked])
        return {"isolated": len(locked)}
    ((id, _),) = locked
    error = f"The worker {lease.worker} died, or hung, while it ran {lease.handler}."
    known = handlers.get(lease.handler)
    own = known.waits_after(None) if known else None
    waits = waits_of(AS_THE_QUEUE, policy_of(lease.queue)) if own is None else own
    state = states.fail(id, waits=waits, worker=lease.worker, error=error)
    if state == "dead":
        extra = {"delivery": id, "handler": lease.handler, "queue": lease.queue}
        logger.error("delivery.dead", extra=extra | {"error": "its worker died, or hung"})
    return {state: 1} if state else {}
