"""How a function becomes the handler of a domain signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from celery import shared_task

from events.execution import execute
from events.queues import policy_of
from events.registry import Handler, handlers
from events.signals import DomainSignal

Handle = TypeVar("Handle", bound=Callable[[Any], None])

# Between asking a handler to stop and killing its process.
GRACE_SECONDS = 10


def handler(
    signal: DomainSignal, *, queue: str, name: str, atomic: bool = True
) -> Callable[[Handle], Handle]:
    """This subscribes a function to a domain signal, as the Celery task of that name.

    The function takes a sequence of `Recorded` events (1 up to the queue's batch size), must be
    idempotent, and works set-based. With `atomic` (the rule), its effects and the marking of the
    deliveries commit together. Without, for effects outside the database: it gets one event at a
    time, outside a transaction, and passes the event's id on as the idempotency key.
    The name is stored with each delivery: it may never change. Raises ValueError when it is taken,
    and UnknownQueue for a queue that isn't in the table.
    """
    seconds = policy_of(queue).time_limit_seconds

    def subscribe(handle: Handle) -> Handle:
        if name in handlers:
            raise ValueError(f"The handler name {name!r} is taken by {handlers[name].handle}.")

        @shared_task(
            name=name,
            ignore_result=True,
            soft_time_limit=seconds,
            time_limit=seconds + GRACE_SECONDS,
        )
        def deliver(delivery_ids: list[int]) -> dict[str, int]:
            return execute(handlers[name], delivery_ids)

        handlers[name] = Handler(name, queue, signal.name, handle, atomic, deliver)
        return handle

    return subscribe
