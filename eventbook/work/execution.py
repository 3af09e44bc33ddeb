"""Run a message's deliveries in a worker: claim them, call the handler, record how each ended.

To settle a delivery is to record the end of a run: done, split, due again, or dead.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections import Counter
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from eventbook.database.statements import plan
from eventbook.declare.events import ALL_KEYS, SMALL_BATCH, NewerEvent, Recorded, type_of_name
from eventbook.declare.handlers import Handler, handlers
from eventbook.declare.queues import QueuePolicy
from eventbook.declare.retries import LONGEST_WAIT_SECONDS
from eventbook.deliveries import runs, states
from eventbook.deliveries.bursts import admit
from eventbook.deliveries.controls import control_of
from eventbook.deliveries.limits import RateLimited, acquire_permits, end_permits, rate_limits_of
from eventbook.deliveries.outcomes import Outcome, Outcomes
from eventbook.deliveries.states import Claimed
from eventbook.observe import tracing
from eventbook.observe.failures import class_and_place
from eventbook.work.leases import Lease, leased, worker_name
from eventbook.work.run_log import RunLog

logger = logging.getLogger(__name__)

# The wait before an event of a newer release is tried again, perhaps by a worker of that release.
NEWER_EVENT_SECONDS = 30


class Later(Exception):
    """Raised by a handler to be called again after `seconds`; no attempt is charged.

    At most after a year: other servers may ask for a time that PostgreSQL or Python can't hold.
    """

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = min(max(0.0, seconds), LONGEST_WAIT_SECONDS)


def run_deliveries(handler: Handler, ids: Sequence[int], *, suspect: bool = False) -> Outcomes:
    """Run the handler on a batch of deliveries, and return the number of deliveries by outcome.

    Deliveries that are finished or locked by another worker are passed over. If the handler raises,
    a batch in a transaction is rolled back and its deliveries are run again one by one, so that
    only the failing one is charged an attempt. A `suspect` batch may have killed a worker, so its
    lease is written before the batch begins. If the queue is paused, deliveries not yet begun
    become due again.
    """
    plan(lean=handler.atomic and len(ids) <= SMALL_BATCH)
    with leased(handler, ids, write_first=suspect or not handler.atomic) as lease:
        try:
            if control_of(handler.queue).paused:
                lease.release()
                outcomes = Outcomes(paused=states.release_paused(ids, begun=False, suspect=suspect))
            else:
                outcomes = _run(handler, ids, lease)
        except (OperationalError, InterfaceError):
            if connection.is_usable():
                raise
            # The connection broke, which is no fault of the handler: charge no attempt.
            connection.close()
            states.reopen(ids, suspect=ids if suspect else ())
            lease.release()
            raise
    runs.count_batch(handler, outcomes, size=len(ids))
    return outcomes


def warm_up(queues: Container[str]) -> None:
    """Run the statement of each handler of these queues once, on no deliveries.

    This connects to PostgreSQL and fills its catalog cache, so that the first event takes 27 ms
    instead of 45. Handlers without a statement are skipped. Do nothing if PostgreSQL is down.
    """
    with suppress(OperationalError, InterfaceError):
        for handler in handlers.values():
            if handler.statement and handler.queue in queues:
                plan(lean=True)
                handler.statement.run([], handlers=handler.names, version=0)


def _run(handler: Handler, ids: Sequence[int], lease: Lease) -> Outcomes:
    """Run a batch. If it fails, record the failure of a single delivery, or run several one by one.

    Several deliveries that exceeded the time limit are not run again here: each is published again
    in a message of its own.
    """
    if not handler.atomic:
        return _run_without_transaction(handler, ids, lease)
    with RunLog(handler) as log:
        try:
            done, left = _run_statement(handler, ids, lease)
            outcomes = Outcomes(done=done)
            if left:
                outcomes.update(_run_batch(log, left, lease))
            return outcomes
        except Exception as error:
            if not connection.is_usable():
                raise
            log.failed(error)
            failure = error
        # Outside the except block, or a later failure's traceback would begin with this one.
        if len(ids) == 1:
            ended = [_settle_failure(handler, ids[0], failure)]
        elif isinstance(failure, SoftTimeLimitExceeded):
            states.isolate(ids)
            ended = [Outcome("isolated", id, type(failure).__name__) for id in ids]
        else:
            ended = _run_each(handler, ids)
        lease.release()
        return Outcomes.of(ended)


def _run_statement(handler: Handler, ids: Sequence[int], lease: Lease) -> tuple[int, Sequence[int]]:
    """Run the handler's statement; return the number of deliveries done, and the ids of the others.

    If the statement fails, or may not be used, all ids are left: the handler's function runs them.
    """
    statement = handler.statement
    # A trace needs the fields of events, which only states.claim returns.
    if statement is None or len(ids) > SMALL_BATCH or tracing.is_on():
        return 0, ids
    try:
        with runs.RunTimer(handler) as timer:
            version = type_of_name[handler.event_name].version
            done = statement.run(ids, handlers=handler.names, version=version)
            timer.claimed(list(done.values()))
    except DatabaseError:
        if not connection.is_usable():
            raise
        return 0, ids
    if len(done) == len(ids):
        lease.release()
    return len(done), [id for id in ids if id not in done]


def _run_batch(log: RunLog, ids: Sequence[int], lease: Lease | None = None) -> Counter[str]:
    """Claim, handle and finish deliveries in one transaction; count the claimed ones by outcome.

    Deliveries of a burst that don't run now are held or superseded.
    """
    handler = log.handler
    with runs.RunTimer(handler) as timer, transaction.atomic():
        batch, outcomes = admit(handler, states.claim(handler, ids))
        ages, since_ready = [one.age for one in batch], [one.since_ready for one in batch]
        timer.claimed(ages, since_ready=since_ready)
        log.started(batch)
        _handle(handler, {one.id: _event(handler, one) for one in batch})
        states.finish([one.id for one in batch], lease=lease.end() if lease else None)
    return outcomes + Counter(done=len(batch))


def _event(handler: Handler, delivery: Claimed) -> Recorded[Any]:
    """Return a delivery's event as its handler gets it; raise what its key function raises."""
    recorded = delivery.recorded()
    if handler.burst:
        handler.burst.key(recorded.event)
    return recorded


def _handle(handler: Handler, batch: dict[int, Recorded[Any]]) -> None:
    """Split the events that are too large for one transaction, and handle the others now.

    `batch` has the events by the ids of their deliveries.
    """
    whole = [recorded for recorded in batch.values() if recorded.keys == ALL_KEYS]
    ranges = handler.split(whole) if handler.split and whole else {}
    remaining = []
    for id, recorded in batch.items():
        if recorded.keys == ALL_KEYS and recorded.id in ranges:
            states.split(id, ranges[recorded.id])
        else:
            remaining.append(recorded)
    if remaining:
        handler.handle(remaining)


def _run_each(handler: Handler, ids: Sequence[int]) -> list[Outcome]:
    """Run each delivery in its own transaction; if the queue is paused, make the rest due again."""
    outcomes: list[Outcome] = []
    for place, id in enumerate(ids):
        if control_of(handler.queue).paused:
            rest = ids[place:]
            states.release_paused(rest, begun=False, suspect=False)
            return outcomes + [Outcome("paused")] * len(rest)
        with RunLog(handler) as log:
            try:
                (outcome,) = _run_batch(log, [id]) or ["passed_over"]
                outcomes.append(Outcome(outcome))
            except Exception as error:
                if not connection.is_usable():
                    raise
                log.failed(error)
                outcomes.append(_settle_failure(handler, id, error))
    return outcomes


def _run_without_transaction(handler: Handler, ids: Sequence[int], lease: Lease) -> Outcomes:
    """Mark deliveries as running, and call the handler on each, until the queue is paused."""
    claimed_at = time.monotonic()
    with transaction.atomic():
        batch, held = admit(handler, states.claim(handler, ids))
        states.start([one.id for one in batch], policy=handler.policy)
    outcomes = [Outcome(state) for state in held.elements()]
    for place, delivery in enumerate(batch):
        if control_of(handler.queue).paused:
            rest = [one.id for one in batch[place:]]
            states.release_paused(rest, begun=True, suspect=False)
            outcomes += [Outcome("paused")] * len(rest)
            break
        policy = control_of(handler.queue).apply_to(handler.policy)
        outcomes.append(_call(handler, delivery, policy, claimed_at))
    lease.release()
    return Outcomes.of(outcomes)


def _call(handler: Handler, delivery: Claimed, policy: QueuePolicy, claimed_at: float) -> Outcome:
    """Call the handler on one event if the rate limits permit it, and settle the delivery."""
    with RunLog(handler) as log:
        log.started([delivery])
        try:
            recorded = _event(handler, delivery)
            limits = rate_limits_of(handler, recorded.event, policy)
            permission = acquire_permits(
                limits, longest=policy.longest_run_seconds, waited=delivery.was_rate_limited
            )
            if isinstance(permission, RateLimited):
                states.defer(delivery.id, seconds=permission.seconds, reason=states.RATE_LIMITED)
                log.postponed(permission.seconds)
                return Outcome("limited")
            with runs.RunTimer(handler) as timer:
                waited = timer.began - claimed_at
                timer.claimed([delivery.age + waited], since_ready=[delivery.since_ready + waited])
                try:
                    handler.handle([recorded])
                finally:
                    end_permits(permission, limits)
                states.finish([delivery.id])
        except Exception as error:
            log.failed(error)
            return _settle_failure(handler, delivery.id, error)
    return Outcome("done")


def _settle_failure(handler: Handler, id: int, error: Exception) -> Outcome:
    """Postpone a delivery after NewerEvent or Later; after another error, charge an attempt.

    The delivery is dead if that was its last attempt, or at once if the error is Permanent.
    """
    if isinstance(error, NewerEvent | Later):
        seconds = error.seconds if isinstance(error, Later) else NEWER_EVENT_SECONDS
        states.defer(id, seconds=seconds, reason=str(error))
        tracing.add_event("delivery.deferred", {"seconds": seconds})
        return Outcome("deferred")
    text = "".join(traceback.format_exception(error))
    waits = handler.waits_after(error)
    state = states.fail(id, waits=waits, worker=worker_name(), error=text) or "passed_over"
    tracing.add_event(f"delivery.{state}")
    # The log gets no message of the exception, which may quote private text; the delivery keeps it.
    extra = {
        "delivery": id,
        "handler": handler.name,
        "state": state,
        "error": class_and_place(error),
    }
    if state == "dead":
        logger.error("delivery.dead", exc_info=error, extra=extra)
    else:
        logger.warning("delivery.failed", exc_info=error, extra=extra)
    return Outcome(state, id, type(error).__name__)
