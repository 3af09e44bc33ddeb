"""The registry of handlers, by the names under which their deliveries are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from celery import Task

from events.envelope import KeyRange, Recorded
from events.statement import Statement

Batch = Sequence[Recorded[Any]]
Group = Callable[[Any], str]
Split = Callable[[Batch], Mapping[UUID, Sequence[KeyRange]]]

# Each handler by its name and by each of its former names.
handlers: dict[str, Handler] = {}


@dataclass(frozen=True)
class Handler:
    """A function that handles batches of one event type, its queue, and its options.

    The options are explained at the decorator (subscription.py).
    """

    name: str
    queue: str
    event_name: str
    handle: Callable[[Batch], None]
    atomic: bool
    task: Task[..., Any]
    split: Split | None = None
    formerly: tuple[str, ...] = ()
    group: Group | None = None
    batch_size: int | None = None
    statement: Statement | None = None

    @property
    def names(self) -> list[str]:
        """Return the names under which its deliveries may be stored."""
        return [self.name, *self.formerly]


def register(known: Handler) -> None:
    """Register a handler under all its names; raise ValueError if one of them is taken."""
    for name in known.names:
        if name in handlers:
            raise ValueError(f"The handler name {name!r} is taken by {handlers[name]}.")
    handlers.update(dict.fromkeys(known.names, known))


def subscriptions() -> list[Handler]:
    """Return every handler once, sorted by its current name."""
    return [handlers[name] for name in sorted(handlers) if handlers[name].name == name]


def route(name: str, *_: Any, **__: Any) -> dict[str, str] | None:
    """Route a handler's messages to its queue, and others to the default one (for Celery)."""
    return {"queue": handlers[name].queue} if name in handlers else None
