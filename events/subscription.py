"""How a function becomes the handler of a domain signal."""

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
    """Subscribe a function to a domain signal, as the Celery task of that name.

    The function takes a sequence of `Recorded` events (1 up to the queue's batch size), must be
    idempotent, and works set-based. With `atomic` (the rule), its effects and the marking of the
    deliveries commit together. Without, for effects outside the database: it gets one event at a
    time, outside a transaction, and passes the event's id on as the idempotency key.
    `split` answers the ranges of keys that together cover an event too large for one transaction;
    each becomes a delivery of its own, in the bulk lane, and the handler keeps to its `keys`.
    `batch_size` is for events that are much work each: so many at most, if the queue's is larger.
    `statement` does the same for a few events in one round trip (events/statement.py).
    `group` names, for an event, what shares a rate limit: an account, a host, a recipient.
    The name is stored with each delivery; a handler that gets a new one lists those in `formerly`.
    Raises ValueError when a name is taken, and UnknownQueue for a queue that isn't in the table.
    """
    policy = policy_of(queue)
    if split is not None and not atomic:
        raise ValueError(f"{name}: only the work of a transaction can be split.")
    if group is not None and atomic:
        raise ValueError(f"{name}: only effects outside the database have rate limits.")

    def subscribe(handle: Handle) -> Handle:
        task, names = _task(name, policy, keep_result=keep_result), tuple(formerly)
        options = (split, names, group, batch_size, statement)
        register(Handler(name, queue, signal.name, handle, atomic, task, *options))
        return handle

    return subscribe


def _task(name: str, policy: QueuePolicy, *, keep_result: bool) -> Task[..., Any]:
    """Return the Celery task that delivers to the handler of that name."""

    @shared_task(
        name=name,
        ignore_result=not keep_result,
        soft_time_limit=policy.time_limit_seconds,
        time_limit=policy.time_limit_seconds + policy.grace_seconds,
        # What failed is logged by then; Celery need not log another error for the task.
        throws=(DeliveriesFailed,),
        # Only workers load it.
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
