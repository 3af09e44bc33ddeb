"""Run a message's deliveries in a worker: claim them, call the handler, record how each ended.

To settle a delivery is to record the end of a run: done, split, due again, or dead.
"""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from eventbook.database.statements import plan
from eventbook.declare.events import (
    ALL_KEYS,
    SMALL_BATCH,
    KeyRange,
    NewerEvent,
    Recorded,
    decode,
    type_of_name,
)
from eventbook.declare.handlers import Handler, handlers
from eventbook.declare.queues import QueuePolicy, policy_of
from eventbook.deliveries import runs, states
from eventbook.deliveries.controls import control_of, policy_in_force
from eventbook.deliveries.limits import (
    Permits,
    RateLimit,
    RateLimited,
    acquire_permits,
    end_permits,
)
from eventbook.deliveries.outcomes import Outcome, Outcomes
from eventbook.observe import tracing
from eventbook.observe.failures import class_and_place
from eventbook.work.leases import Lease, lease, worker_name
from eventbook.work.story import Story

logger = logging.getLogger(__name__)

# Before an event of a newer release is tried again, perhaps by a worker of that release.
NEWER_EVENT_SECONDS = 30
# Positions in a row of deliveries.claim: the delivery's age, and how long it could have run.
AGE, OWED = -2, -1


class Later(Exception):
    """Raised by a handler to be called again after `seconds`; no attempt is charged."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


def execute(handler: Handler, ids: Sequence[int], *, suspect: bool = False) -> Outcomes:
    """Run the handler on a batch of deliveries, and return how many ended in which state.

    Deliveries that are finished or locked by another worker are passed over. If the handler raises,
    the batch is rolled back and its deliveries are run again one by one, so that only the failing
    one is charged an attempt. A `suspect` batch may have killed a worker, so its lease is written
    before it begins. If the queue is paused, deliveries not yet begun become due again.
    """
    plan(lean=handler.atomic and len(ids) <= SMALL_BATCH)
    with lease(handler, ids, at_once=suspect or not handler.atomic) as held:
        try:
            if control_of(handler.queue).paused:
                held.release()
                outcomes = Outcomes(paused=states.release_paused(ids, begun=False, suspect=suspect))
            else:
                outcomes = _run(handler, ids, held)
        except (OperationalError, InterfaceError):
            if connection.is_usable():
                raise
            # The connection broke, which is no fault of the handler: charge no attempt.
            connection.close()
            states.reopen(ids, suspect=ids if suspect else ())
            held.release()
            raise
    runs.settled(handler, outcomes, of=len(ids))
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


def _run(handler: Handler, ids: Sequence[int], held: Lease) -> Outcomes:
    """Run a batch; if that fails, settle a single delivery, and run several again one by one.

    A batch that exceeded its time limit is not run again here, but by one message per delivery.
    """
    if not handler.atomic:
        return _run_outside(handler, ids, held)
    with Story(handler) as story:
        try:
            done, left = _run_statement(handler, ids, held)
            return Outcomes(done=done + (_run_batch(story, left, held) if left else 0))
        except Exception as error:
            if not connection.is_usable():
                raise
            story.fails(error)
            failure = error
        # Outside the except block, or a later failure's traceback would begin with this one.
        if len(ids) == 1:
            outcomes = [_settle_failure(handler, ids[0], failure)]
        elif isinstance(failure, SoftTimeLimitExceeded):
            states.isolate(ids)
            outcomes = [Outcome("isolated", id, type(failure).__name__) for id in ids]
        else:
            outcomes = _run_each(handler, ids)
        held.release()
        return Outcomes.of(outcomes)


def _run_statement(handler: Handler, ids: Sequence[int], held: Lease) -> tuple[int, Sequence[int]]:
    """Run the handler's statement, and return how many deliveries it did and the ids left to do.

    If the statement fails, all ids are left: the function runs them, and settles each failure.
    """
    statement = handler.statement
    # A trace needs the fields of events, which only deliveries.claim returns.
    if statement is None or len(ids) > SMALL_BATCH or tracing.is_on():
        return 0, ids
    try:
        with runs.Run(handler) as run:
            version = type_of_name[handler.event_name].version
            done = statement.run(ids, handlers=handler.names, version=version)
            run.claimed(list(done.values()))
    except DatabaseError:
        if not connection.is_usable():
            raise
        return 0, ids
    if len(done) == len(ids):
        held.release()
    return len(done), [id for id in ids if id not in done]


def _run_batch(story: Story, ids: Sequence[int], held: Lease | None = None) -> int:
    """Claim, handle and finish deliveries in one transaction; return how many."""
    handler = story.handler
    with runs.Run(handler) as run, transaction.atomic():
        rows = states.claim(handler, ids)
        run.claimed([row[AGE] for row in rows], owed=[row[OWED] for row in rows])
        story.begins(rows)
        _handle(handler, {row[0]: _recorded(row) for row in rows})
        states.finish([row[0] for row in rows], lease=held.end() if held else None)
    return len(rows)


def _handle(handler: Handler, batch: dict[int, Recorded[Any]]) -> None:
    """Split the events that are too large for one transaction, and handle the others now."""
    whole = [recorded for recorded in batch.values() if recorded.keys == ALL_KEYS]
    ranges = handler.split(whole) if handler.split and whole else {}
    for id, recorded in batch.items():
        if recorded.keys == ALL_KEYS and recorded.id in ranges:
            states.split(id, ranges[recorded.id])
    if now := [r for r in batch.values() if r.keys != ALL_KEYS or r.id not in ranges]:
        handler.handle(now)


def _run_each(handler: Handler, ids: Sequence[int]) -> list[Outcome]:
    """Run each delivery in its own transaction; if the queue is paused, make the rest due again."""
    outcomes: list[Outcome] = []
    for place, id in enumerate(ids):
        if control_of(handler.queue).paused:
            rest = ids[place:]
            states.release_paused(rest, begun=False, suspect=False)
            return outcomes + [Outcome("paused")] * len(rest)
        with Story(handler) as story:
            try:
                done = _run_batch(story, [id])
                outcomes.append(Outcome("done" if done else "passed_over"))
            except Exception as error:
                if not connection.is_usable():
                    raise
                story.fails(error)
                outcomes.append(_settle_failure(handler, id, error))
    return outcomes


def _run_outside(handler: Handler, ids: Sequence[int], held: Lease) -> Outcomes:
    """Mark deliveries as running, then call the handler on each outside a transaction."""
    policy, began = policy_of(handler.queue), time.monotonic()
    with transaction.atomic():
        rows = states.claim(handler, ids)
        states.start([row[0] for row in rows], policy=policy)
    outcomes: list[Outcome] = []
    for place, row in enumerate(rows):
        if control_of(handler.queue).paused:
            rest = [row[0] for row in rows[place:]]
            states.release_paused(rest, begun=True, suspect=False)
            outcomes += [Outcome("paused")] * len(rest)
            break
        outcomes.append(_call(handler, row, policy_in_force(handler.queue), began))
    held.release()
    return Outcomes.of(outcomes)


def _call(handler: Handler, row: tuple[Any, ...], policy: QueuePolicy, claimed: float) -> Outcome:
    """Call the handler on one event if the rate limits permit it, and settle the delivery."""
    id, *_, waited, age, owed = row
    with Story(handler) as story:
        story.begins([row])
        try:
            recorded = _recorded(row)
            limits = rate_limits_of(handler, recorded.event, policy)
            leave = _leave(limits, policy, waited=waited)
            if isinstance(leave, RateLimited):
                states.defer(id, seconds=leave.seconds, reason=states.RATE_LIMITED)
                story.waits(leave.seconds)
                return Outcome("limited")
            with runs.Run(handler) as run:
                since = run.began - claimed
                run.claimed([age + since], owed=[owed + since])
                try:
                    handler.handle([recorded])
                finally:
                    end_permits(leave, limits)
                states.finish([id])
        except Exception as error:
            story.fails(error)
            return _settle_failure(handler, id, error)
    return Outcome("done")


def rate_limits_of(handler: Handler, event: Any, policy: QueuePolicy) -> list[RateLimit]:
    """Return the rate limits that apply to a call: the queue's, and the event's group's."""
    limits = []
    group = f"{policy.name} {handler.group(event)}" if handler.group else ""
    if policy.rate_limit:
        whole, line = f"queue {policy.name}", group and f"queue {group}"
        limits.append(RateLimit(whole, policy.rate_limit, policy.rate_seconds, line))
    if policy.group_limit and group:
        limits.append(RateLimit(group, policy.group_limit, policy.group_seconds))
    return limits


def _leave(
    limits: Sequence[RateLimit], policy: QueuePolicy, *, waited: bool
) -> Permits | RateLimited:
    """Return permission for a call under these limits, or the time to wait for it."""
    if not limits:
        return Permits([])
    longest = policy.time_limit_seconds + policy.grace_seconds
    return acquire_permits(limits, longest=longest, waited=waited)


def _recorded(row: tuple[Any, ...]) -> Recorded[Any]:
    """Return the event in a row of deliveries.claim, upcast to the current version."""
    _, event_id, name, version, data, recorded_at, priority, bounds, *_ = row
    keys = KeyRange(*json.loads(bounds)) if bounds else ALL_KEYS
    return Recorded(event_id, recorded_at, priority, decode(name, version, data), keys)


def _settle_failure(handler: Handler, id: int, error: Exception) -> Outcome:
    """Put a delivery off, or charge it an attempt, by what its handler raised."""
    if isinstance(error, NewerEvent):
        states.defer(id, seconds=NEWER_EVENT_SECONDS, reason=str(error))
        tracing.add_event("delivery.deferred", {"seconds": NEWER_EVENT_SECONDS})
        return Outcome("deferred")
    if isinstance(error, Later):
        states.defer(id, seconds=error.seconds, reason=str(error))
        tracing.add_event("delivery.deferred", {"seconds": error.seconds})
        return Outcome("deferred")
    text = "".join(traceback.format_exception(error))
    policy = policy_of(handler.queue)
    state = states.fail(id, policy=policy, worker=worker_name(), error=text) or "passed_over"
    tracing.add_event(f"delivery.{state}")
    # Without the exception's message, which may quote private text: it stays in the delivery.
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
