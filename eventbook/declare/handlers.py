"""The registry of handlers, by the names under which their deliveries are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from uuid import UUID

from django.dispatch import Signal

from eventbook.declare.events import KeyRange, Recorded
from eventbook.declare.queues import policy_of
from eventbook.declare.statement import Statement

Batch = Sequence[Recorded[Any]]
Group = Callable[[Any], str]
Split = Callable[[Batch], Mapping[UUID, Sequence[KeyRange]]]
Handle = TypeVar("Handle", bound=Callable[[Any], None])

# Sent with each registered `handler`; work/task.py creates its Celery task.
handler_registered = Signal()

# Each handler by its name and by each of its former names.
handlers: dict[str, Handler] = {}


class EventSource(Protocol):
    """A domain signal (record/signals.py): only the wire name of its events matters here."""

    name: str


@dataclass(frozen=True)
class Handler:
    """A function that handles batches of one event type, its queue, and its options.

    The options are explained at the decorator, `handler`.
    """

    name: str
    queue: str
    event_name: str
    handle: Callable[[Batch], None]
    atomic: bool
    split: Split | None = None
    formerly: tuple[str, ...] = ()
    group: Group | None = None
    batch_size: int | None = None
    statement: Statement | None = None
    keep_result: bool = False

    @property
    def names(self) -> list[str]:
        """Return the names under which its deliveries may be stored."""
        return [self.name, *self.formerly]


def handler(
    signal: EventSource,
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

    The function gets a list of `Recorded` events, at most `batch_size` (and the queue's), and must
    be idempotent. By default its effects and its deliveries' states commit in one transaction.
    `atomic=False` is for effects outside the database: the function then gets one event at a time,
    outside a transaction, and must pass the event's id on as the idempotency key.
    `split` returns ranges of keys for each event that is too large for one transaction; each range
    becomes a delivery in the bulk lane, and the function must keep to the event's `keys`.
    `formerly` lists former names of a renamed handler, which older deliveries are stored under.
    `group` returns an event's rate limit group: for example an account, a host or a recipient.
    `keep_result` stores the task's result.
    `statement` is SQL that has the same effects for a few events in one round trip (statement.py).
    Raise ValueError for a name in use or for options that exclude each other, and UnknownQueue.
    """
    policy_of(queue)
    if split is not None and not atomic:
        raise ValueError(f"{name}: `split` needs `atomic=True`.")
    if group is not None and atomic:
        raise ValueError(f"{name}: `group` is for effects outside the database (`atomic=False`).")
    options: dict[str, Any] = {"split": split, "formerly": tuple(formerly), "group": group}
    options |= {"batch_size": batch_size, "statement": statement, "keep_result": keep_result}

    def subscribe(handle: Handle) -> Handle:
        register(Handler(name, queue, signal.name, handle, atomic, **options))
        return handle

    return subscribe


def register(new: Handler) -> None:
    """Register a handler under all its names; raise ValueError if one of them is in use."""
    for name in new.names:
        if name in handlers:
            raise ValueError(f"The handler name {name!r} is taken by {handlers[name]}.")
    handlers.update(dict.fromkeys(new.names, new))
    handler_registered.send(sender=Handler, handler=new)


def all_handlers() -> list[Handler]:
    """Return every handler once, sorted by its current name."""
    return [handlers[name] for name in sorted(handlers) if handlers[name].name == name]


def route(name: str, *_: Any, **__: Any) -> dict[str, str] | None:
    """Route a handler's messages to its queue, and others to the default one (for Celery)."""
    return {"queue": handlers[name].queue} if name in handlers else None
