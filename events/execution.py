"""What a worker does with a message: run the handler, and settle the deliveries."""

from __future__ import annotations

import json
import logging
import time
import traceback
from collections.abc import Container, Sequence
from contextlib import suppress
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from events import deliveries, tracing
from events.controls import control_of, policy_in_force
from events.envelope import (
    ALL_KEYS,
    FEW,
    KeyRange,
    NewerEvent,
    Recorded,
    decode,
    type_of_name,
)
from events.failures import told
from events.leases import Lease, lease, worker_name
from events.limits import Limit, Permits, Refused, acquire, give_back
from events.metrics import runs
from events.outcomes import Outcome, Outcomes
from events.queues import QueuePolicy, policy_of
from events.registry import Handler, handlers
from events.sql import plan
from events.story import Story

logger = logging.getLogger(__name__)

# How long an event of a newer release waits before a worker, perhaps a newer one, tries again.
NEWER_EVENT_SECONDS = 30
# Where a row of deliveries.claim has them, in seconds.
AGE, OWED = -2, -1


class Later(Exception):
    """A handler raises this when it must be asked again in so many seconds; it costs no attempt."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


def execute(handler: Handler, ids: Sequence[int], *, suspect: bool = False) -> Outcomes:
    """Deliver a batch to its handler, and return how many deliveries ended in which state.

    Deliveries that are settled already, or in other hands, are passed over. A batch that raises is
    rolled back and run again one by one, so that the culprit alone is charged an attempt. A
    `suspect` batch may have taken a worker down: its lease is taken before it begins. What a paused
    queue has not begun is handed back.
    """
    plan(lean=handler.atomic and len(ids) <= FEW)
    with lease(handler, ids, at_once=suspect or not handler.atomic) as held:
        try:
            if control_of(handler.queue).paused:
                held.release()
                outcomes = Outcomes(paused=deliveries.hand_back(ids, begun=False, suspect=suspect))
            else:
                outcomes = _run(handler, ids, held)
        except (OperationalError, InterfaceError):
            if connection.is_usable():
                raise
            # The connection broke: that is nobody's fault, so give the batch back as it was.
            connection.close()
            deliveries.reopen(ids)
            held.release()
            raise
    runs.settled(handler, outcomes, of=len(ids))
    return outcomes


def warm_up(queues: Container[str]) -> None:
    """Prepare a process for these queues' handlers whose effects are a statement.

    Their first event would otherwise wait for a connection, and for PostgreSQL to read up on their
    tables: 45 ms instead of 27. If there is no database, that can wait.
    """
    with suppress(OperationalError, InterfaceError):
        for handler in handlers.values():
            if handler.statement and handler.queue in queues:
                plan(lean=True)
                handler.statement.work([], handlers=handler.names, version=0)


def _run(handler: Handler, ids: Sequence[int], held: Lease) -> Outcomes:
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
        # Not while it is handled: the traceback of one that fails next would begin with this one.
        if len(ids) == 1:
            outcomes = [_settle_failure(handler, ids[0], failure)]
        elif isinstance(failure, SoftTimeLimitExceeded):
            deliveries.isolate(ids)
            outcomes = [Outcome("isolated", id, type(failure).__name__) for id in ids]
        else:
            outcomes = _run_each(handler, ids)
        held.release()
        return Outcomes.of(outcomes)


def _run_statement(handler: Handler, ids: Sequence[int], held: Lease) -> tuple[int, Sequence[int]]:
    """Do what a handler's statement can, and return how much, and what is left to it.

    Where it fails, all is left: then each delivery is told of, and charged, as ever.
    """
    statement = handler.statement
    # A trace wants to know of an event what only a claim tells.
    if statement is None or len(ids) > FEW or tracing.is_on():
        return 0, ids
    try:
        with runs.Run(handler) as run:
            version = type_of_name[handler.event_name].version
            done = statement.work(ids, handlers=handler.names, version=version)
            run.claimed(list(done.values()))
    except DatabaseError:
        if not connection.is_usable():
            raise
        return 0, ids
    if len(done) == len(ids):
        held.release()
    return len(done), [id for id in ids if id not in done]


def _run_batch(story: Story, ids: Sequence[int], held: Lease | None = None) -> int:
    handler = story.handler
    with runs.Run(handler) as run, transaction.atomic():
        rows = deliveries.claim(handler, ids)
        run.claimed([row[AGE] for row in rows], owed=[row[OWED] for row in rows])
        story.begins(rows)
        _handle(handler, {row[0]: _recorded(row) for row in rows})
        deliveries.finish([row[0] for row in rows], lease=held.end() if held else None)
    return len(rows)


def _handle(handler: Handler, batch: dict[int, Recorded[Any]]) -> None:
    """Run the handler on what it can do in this transaction, and splits what is larger."""
    whole = [recorded for recorded in batch.values() if recorded.keys == ALL_KEYS]
    ranges = handler.split(whole) if handler.split and whole else {}
    for id, recorded in batch.items():
        if recorded.keys == ALL_KEYS and recorded.id in ranges:
            deliveries.split(id, ranges[recorded.id])
    if now := [r for r in batch.values() if r.keys != ALL_KEYS or r.id not in ranges]:
        handler.handle(now)


def _run_each(handler: Handler, ids: Sequence[int]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for place, id in enumerate(ids):
        if control_of(handler.queue).paused:
            rest = ids[place:]
            deliveries.hand_back(rest, begun=False, suspect=False)
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
    policy, began = policy_of(handler.queue), time.monotonic()
    with transaction.atomic():
        rows = deliveries.claim(handler, ids)
        deliveries.start([row[0] for row in rows], policy=policy)
    outcomes: list[Outcome] = []
    for place, row in enumerate(rows):
        if control_of(handler.queue).paused:
            rest = [row[0] for row in rows[place:]]
            deliveries.hand_back(rest, begun=True, suspect=False)
            outcomes += [Outcome("paused")] * len(rest)
            break
        outcomes.append(_call(handler, row, policy_in_force(handler.queue), began))
    held.release()
    return Outcomes.of(outcomes)


def _call(handler: Handler, row: tuple[Any, ...], policy: QueuePolicy, claimed: float) -> Outcome:
    id, *_, waited, age, owed = row
    with Story(handler) as story:
        story.begins([row])
        try:
            recorded = _recorded(row)
            limits = limits_of(handler, recorded.event, policy)
            leave = _leave(limits, policy, waited=waited)
            if isinstance(leave, Refused):
                deliveries.defer(id, seconds=leave.seconds, reason=deliveries.WAITS)
                story.waits(leave.seconds)
                return Outcome("limited")
            with runs.Run(handler) as run:
                since = run.began - claimed
                run.claimed([age + since], owed=[owed + since])
                try:
                    handler.handle([recorded])
                finally:
                    give_back(leave, limits)
                deliveries.finish([id])
        except Exception as error:
            story.fails(error)
            return _settle_failure(handler, id, error)
    return Outcome("done")


def limits_of(handler: Handler, event: Any, policy: QueuePolicy) -> list[Limit]:
    """Return the rate limits under which a call is made."""
    limits = []
    group = f"{policy.name} {handler.group(event)}" if handler.group else ""
    if policy.rate_limit:
        whole, line = f"queue {policy.name}", group and f"queue {group}"
        limits.append(Limit(whole, policy.rate_limit, policy.rate_seconds, line))
    if policy.group_limit and group:
        limits.append(Limit(group, policy.group_limit, policy.group_seconds))
    return limits


def _leave(limits: Sequence[Limit], policy: QueuePolicy, *, waited: bool) -> Permits | Refused:
    if not limits:
        return Permits([])
    longest = policy.time_limit_seconds + policy.grace_seconds
    return acquire(limits, longest=longest, waited=waited)


def _recorded(row: tuple[Any, ...]) -> Recorded[Any]:
    _, event_id, name, version, data, recorded_at, priority, bounds, *_ = row
    keys = KeyRange(*json.loads(bounds)) if bounds else ALL_KEYS
    return Recorded(event_id, recorded_at, priority, decode(name, version, data), keys)


def _settle_failure(handler: Handler, id: int, error: Exception) -> Outcome:
    if isinstance(error, NewerEvent):
        deliveries.defer(id, seconds=NEWER_EVENT_SECONDS, reason=str(error))
        tracing.note("delivery.deferred", {"seconds": NEWER_EVENT_SECONDS})
        return Outcome("deferred")
    if isinstance(error, Later):
        deliveries.defer(id, seconds=error.seconds, reason=str(error))
        tracing.note("delivery.deferred", {"seconds": error.seconds})
        return Outcome("deferred")
    text = "".join(traceback.format_exception(error))
    policy = policy_of(handler.queue)
    state = deliveries.fail(id, policy=policy, worker=worker_name(), error=text) or "passed_over"
    tracing.note(f"delivery.{state}")
    # The message of the exception is for those who may read the delivery.
    extra = {"delivery": id, "handler": handler.name, "state": state, "error": told(error)}
    if state == "dead":
        logger.error("delivery.dead", exc_info=error, extra=extra)
    else:
        logger.warning("delivery.failed", exc_info=error, extra=extra)
    return Outcome(state, id, type(error).__name__)
