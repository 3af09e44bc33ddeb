"""What a worker does with a message: run the handler, and settle the deliveries."""

from __future__ import annotations

import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from billiard.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection, transaction

from events import deliveries
from events.envelope import ALL_KEYS, FEW, KeyRange, NewerEvent, Recorded, decode
from events.leases import Lease, lease, worker_name
from events.limits import Limit, Permits, Refused, acquire, give_back
from events.queues import QueuePolicy, policy_of
from events.registry import Handler
from events.sql import plan

logger = logging.getLogger(__name__)

# How long an event of a newer release waits before a worker, perhaps a newer one, tries again.
NEWER_EVENT_SECONDS = 30
# A connection that served a batch so recently is taken to be well.
FRESH_SECONDS = 1.0


class _Used(threading.local):
    """When this thread's connection served a batch last."""

    at = -FRESH_SECONDS


_used = _Used()


def execute(handler: Handler, ids: Sequence[int], *, suspect: bool = False) -> dict[str, int]:
    """This delivers a batch to its handler, and answers how many deliveries ended in which state.

    Deliveries that are settled already, or in other hands, are passed over. A batch that raises is
    rolled back and run again one by one, so that the culprit alone is charged an attempt. A
    `suspect` batch may have taken a worker down: its lease is taken before it begins.
    """
    _check_connection()
    plan(lean=handler.atomic and len(ids) <= FEW)
    with lease(handler, ids, at_once=suspect or not handler.atomic) as held:
        try:
            return _run(handler, ids, held)
        except (OperationalError, InterfaceError):
            if connection.is_usable():
                raise
            # The connection broke: that is nobody's fault, so give the batch back as it was.
            connection.close()
            deliveries.reopen(ids)
            held.release()
            raise
        finally:
            _used.at = time.monotonic()


def _check_connection() -> None:
    """This closes a connection that the server has closed since the last batch.

    One that served a batch just now is not asked again. If it broke meanwhile, the batch is given
    back, and comes again.
    """
    connection.close_if_unusable_or_obsolete()
    if time.monotonic() < _used.at + FRESH_SECONDS:
        setattr(connection, "health_check_done", True)  # noqa: B010 - Django's stubs forget it


def _run(handler: Handler, ids: Sequence[int], held: Lease) -> dict[str, int]:
    if not handler.atomic:
        return _run_outside(handler, ids, held)
    try:
        return {"done": _run_batch(handler, ids, held)}
    except Exception as error:
        if not connection.is_usable():
            raise
        if len(ids) == 1:
            outcomes = [_settle_failure(handler, ids[0], error)]
        elif isinstance(error, SoftTimeLimitExceeded):
            deliveries.isolate(ids)
            outcomes = ["isolated"] * len(ids)
        else:
            outcomes = _run_each(handler, ids)
        held.release()
        return {outcome: outcomes.count(outcome) for outcome in set(outcomes)}


def _run_batch(handler: Handler, ids: Sequence[int], held: Lease | None = None) -> int:
    with transaction.atomic():
        rows = deliveries.claim(handler, ids)
        _handle(handler, {row[0]: _recorded(row) for row in rows})
        deliveries.finish([row[0] for row in rows], lease=held.end() if held else None)
    return len(rows)


def _handle(handler: Handler, batch: dict[int, Recorded[Any]]) -> None:
    """This runs the handler on what it can do in this transaction, and splits what is larger."""
    whole = [recorded for recorded in batch.values() if recorded.keys == ALL_KEYS]
    ranges = handler.split(whole) if handler.split and whole else {}
    for id, recorded in batch.items():
        if recorded.keys == ALL_KEYS and recorded.id in ranges:
            deliveries.split(id, ranges[recorded.id])
    if now := [r for r in batch.values() if r.keys != ALL_KEYS or r.id not in ranges]:
        handler.handle(now)


def _run_each(handler: Handler, ids: Sequence[int]) -> list[str]:
    outcomes = []
    for id in ids:
        try:
            done = _run_batch(handler, [id])
            outcomes.append("done" if done else "passed_over")
        except Exception as error:
            if not connection.is_usable():
                raise
            outcomes.append(_settle_failure(handler, id, error))
    return outcomes


def _run_outside(handler: Handler, ids: Sequence[int], held: Lease) -> dict[str, int]:
    policy = policy_of(handler.queue)
    with transaction.atomic():
        rows = deliveries.claim(handler, ids)
        deliveries.start([row[0] for row in rows], policy=policy)
    outcomes = [_call(handler, row, policy) for row in rows]
    held.release()
    return {outcome: outcomes.count(outcome) for outcome in set(outcomes)}


def _call(handler: Handler, row: tuple[Any, ...], policy: QueuePolicy) -> str:
    id = row[0]
    try:
        recorded = _recorded(row)
        limits = limits_of(handler, recorded.event, policy)
        leave = _leave(limits, policy, waited=row[-1])
        if isinstance(leave, Refused):
            deliveries.defer(id, seconds=leave.seconds, reason=deliveries.WAITS)
            return "limited"
        try:
            handler.handle([recorded])
        finally:
            give_back(leave, limits)
        deliveries.finish([id])
    except Exception as error:
        return _settle_failure(handler, id, error)
    return "done"


def limits_of(handler: Handler, event: Any, policy: QueuePolicy) -> list[Limit]:
    """This answers the rate limits under which a call is made."""
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
    _, event_id, name, version, data, recorded_at, priority, bounds, _ = row
    keys = KeyRange(*json.loads(bounds)) if bounds else ALL_KEYS
    return Recorded(event_id, recorded_at, priority, decode(name, version, data), keys)


def _settle_failure(handler: Handler, id: int, error: Exception) -> str:
    if isinstance(error, NewerEvent):
        deliveries.defer(id, seconds=NEWER_EVENT_SECONDS, reason=str(error))
        return "deferred"
    text = "".join(traceback.format_exception(error))
    policy = policy_of(handler.queue)
    state = deliveries.fail(id, policy=policy, worker=worker_name(), error=text) or "passed_over"
    log: Callable[..., None] = logger.error if state == "dead" else logger.warning
    log(
        "delivery.failed",
        extra={"delivery": id, "handler": handler.name, "state": state, "error": repr(error)},
    )
    return state
