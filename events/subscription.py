"""The `handler` decorator: subscribe a function to a domain signal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from celery import Task, shared_task

from events.execution import execute
from events.outcomes import BrokenOff, DeliveriesFailed, fail_if_any_failed
from events.queues import QueuePolicy, policy_of
from events.registry import Group, Handler, Split, handlers, register
from events.signals import DomainSignal
from events.statement import Statement

logger = logging.getLogger(__name__)

Handle = TypeVar("Handle", bound=Callable[[Any], None])


def handler(
    signal: DomainSignal,
    *,
    queue: str,
    name: str,
    atomic: bool = True,
    split: Split | None = None,
    formerly: Sequence[str] = (),
    group: Group | None = None,
    keep_result: bool = False,
    batch_size: int | None = None,
    statement: Statement | None = None,
) -> Callable[[Handle], Handle]:
    """Subscribe a function to a domain signal, and make it the Celery task `name`.

    The function gets a list of 1 to `batch_size` `Recorded` events (at most the queue's), and must
    be idempotent. By default its effects and its deliveries' states commit in one transaction.
    `atomic=False` is for effects outside the database: the function then gets one event at a time,
    outside a transaction, and must pass the event's id on as the idempotency key.
    `split` returns ranges of keys for each event that is too large for one transaction; each range
    becomes a delivery in the bulk lane, and the function must keep to the event's `keys`.
    `formerly` lists former names of a renamed handler, which older deliveries are stored under.
    `group` returns an event's rate limit group: for example an account, a host or a recipient.
    `keep_result` stores the task's result.
    `statement` is SQL that has the same effects for a few events in one round trip (statement.py).
    Raises ValueError for a name in use or for options that exclude each other, and UnknownQueue.
    """
    policy = policy_of(queue)
    if split is not None and not atomic:
        raise ValueError(f"{name}: `split` needs `atomic=True`.")
    if group is not None and atomic:
        raise ValueError(f"{name}: `group` needs `atomic=False`, since it is for rate limits.")

    def subscribe(handle: Handle) -> Handle:
        task, names = _task(name, policy, keep_result=keep_result), tuple(formerly)
        options = (split, names, group, batch_size, statement)
        register(Handler(name, queue, signal.name, handle, atomic, task, *options))
        return handle

    return subscribe


def _task(name: str, policy: QueuePolicy, *, keep_result: bool) -> Task[..., Any]:
    """Return the Celery task that runs the handler of that name on a message's deliveries."""

    @shared_task(
        name=name,
        ignore_result=not keep_result,
        soft_time_limit=policy.time_limit_seconds,
        time_limit=policy.time_limit_seconds + policy.grace_seconds,
        # The failures are logged already: Celery must not log an error for the task, too.
        throws=(DeliveriesFailed,),
        # A string, so that only workers import the module.
        Request="events.processes.tally:Request",
    )
    def deliver(delivery_ids: list[int], suspect: bool = False) -> dict[str, int]:
        try:
            outcomes = execute(handlers[name], delivery_ids, suspect=suspect)
        except Exception as error:
            logger.exception("batch.broken_off", extra={"handler": name})
            raise BrokenOff(error) from None
        fail_if_any_failed(outcomes)
        return dict(outcomes)

    return deliver
