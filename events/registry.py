"""Handlers, and the events they are subscribed to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from celery import Task, shared_task

from events.envelope import Recorded
from events.queues import policy_of
from events.signals import DomainSignal

Batch = Sequence[Recorded[Any]]
Handle = TypeVar("Handle", bound=Callable[[Any], None])

handlers: dict[str, Handler] = {}


@dataclass(frozen=True)
class Handler:
    """A function that takes batches of one type of event, and the queue where they wait for it."""

    name: str
    queue: str
    event_name: str
    handle: Callable[[Batch], None]
    atomic: bool
    task: Task[..., Any]


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
    policy = policy_of(queue)

    def subscribe(handle: Handle) -> Handle:
        if name in handlers:
            raise ValueError(f"The handler name {name!r} is taken by {handlers[name].handle}.")

        @shared_task(
            name=name,
            ignore_result=True,
            time_limit=policy.time_limit_seconds + 10,
            soft_time_limit=policy.time_limit_seconds,
        )
        def deliver(delivery_ids: list[int]) -> dict[str, int]:
            from events.execution import execute

            return execute(handlers[name], delivery_ids)

        handlers[name] = Handler(name, queue, signal.name, handle, atomic, deliver)
        return handle

    return subscribe


def subscriptions() -> list[Handler]:
    """This answers every handler, by name."""
    return [handlers[name] for name in sorted(handlers)]
