"""The handlers that this process knows, by the names that are stored with their deliveries."""

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

# By name, and by each of its former names.
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
    """Make a handler known; raise ValueError when one of its names is taken."""
    for name in known.names:
        if name in handlers:
            raise ValueError(f"The handler name {name!r} is taken by {handlers[name]}.")
    handlers.update(dict.fromkeys(known.names, known))


def subscriptions() -> list[Handler]:
    """Return every handler, by name."""
    return [handlers[name] for name in sorted(handlers) if handlers[name].name == name]


def route(name: str, *_: Any, **__: Any) -> dict[str, str] | None:
    """Return Celery's router: a handler's messages go to its queue, others to the default one."""
    return {"queue": handlers[name].queue} if name in handlers else None
