"""The registry of handlers, by the names under which their deliveries are stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypedDict, TypeVar, Unpack
from uuid import UUID

from django.dispatch import Signal

from eventbook.declare.bursts import Burst
from eventbook.declare.events import KeyRange, Recorded
from eventbook.declare.queues import QueuePolicy, policy_of
from eventbook.declare.retries import AS_THE_QUEUE, Retry, retry_for, waits_of
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


class Options(TypedDict, total=False):
    """The options of a handler, for the decorator `handler`."""

    # True, the default: the handler's effects and its deliveries' states commit in one transaction.
    # False is for effects outside the database: the function then gets one event at a time, outside
    # a transaction, and must pass the event's id on as the idempotency key.
    atomic: bool
    # Returns ranges of keys for each event that is too large for one transaction. Each range
    # becomes a delivery in the bulk lane, and the function must keep to the event's `keys`.
    split: Split | None
    # Former names of a renamed handler, which older deliveries are stored under.
    formerly: Sequence[str]
    # Returns an event's rate limit group: for example an account, a host or a recipient.
    group: Group | None
    # The most events in a batch; the queue has such a limit, too.
    batch_size: int | None
    # SQL that has the same effects for a few events in one round trip (statement.py).
    statement: Statement | None
    # Whether to store the task's result.
    keep_result: bool
    # The number of attempts and the back-off, in place of the queue's (retries.py).
    retry: Retry
    # The same after errors of a class. The nearest class of an error decides.
    retry_by_error: Mapping[type[Exception], Retry]
    # After this long, a run is interrupted by an exception; by default, as the queue's policy says.
    time_limit_seconds: int | None
    # What the function gets of several events with one key: the last one (Debounce), or one each so
    # many seconds (Throttle); by default, all of them.
    burst: Burst | None


@dataclass(frozen=True)
class Handler:
    """A function that handles batches of one event type, its queue, and its `Options`."""

    name: str
    queue: str
    event_name: str
    handle: Callable[[Batch], None]
    atomic: bool = True
    split: Split | None = None
    formerly: Sequence[str] = ()
    group: Group | None = None
    batch_size: int | None = None
    statement: Statement | None = None
    keep_result: bool = False
    retry: Retry = AS_THE_QUEUE
    retry_by_error: Mapping[type[Exception], Retry] = field(default_factory=dict)
    time_limit_seconds: int | None = None
    burst: Burst | None = None

    @property
    def names(self) -> list[str]:
        """Return the names under which its deliveries may be stored."""
        return [self.name, *self.formerly]

    @property
    def policy(self) -> QueuePolicy:
        """Return the policy of its queue, with its own time limit if it has one."""
        policy = policy_of(self.queue)
        if self.time_limit_seconds is None:
            return policy
        return replace(policy, time_limit_seconds=self.time_limit_seconds)

    def waits_after(self, error: BaseException | None) -> list[float]:
        """Return the wait in seconds after each failed attempt but the last, given its `error`.

        None stands for the death of its worker.
        """
        return waits_of(retry_for(error, self.retry, self.retry_by_error), self.policy)


def handler(
    signal: EventSource, *, queue: str, name: str, **options: Unpack[Options]
) -> Callable[[Handle], Handle]:
    """Subscribe a function to a domain signal, and make it the Celery task `name`.

    The function gets a list of `Recorded` events, at most `batch_size` (and the queue's), and must
    be idempotent. Raise ValueError for a name in use or for invalid options, and UnknownQueue.
    """

    def subscribe(handle: Handle) -> Handle:
        register(Handler(name, queue, signal.name, handle, **options))
        return handle

    return subscribe


def register(new: Handler) -> None:
    """Register a handler under all its names; raise ValueError if one of them is in use."""
    _validate(new)
    for name in new.names:
        if name in handlers:
            raise ValueError(f"The handler name {name!r} is taken by {handlers[name]}.")
    handlers.update(dict.fromkeys(new.names, new))
    handler_registered.send(sender=Handler, handler=new)


def _validate(new: Handler) -> None:
    """Raise ValueError for invalid options or ones that exclude each other, and UnknownQueue."""
    policy_of(new.queue)
    if new.split is not None and not new.atomic:
        raise ValueError(f"{new.name}: `split` needs `atomic=True`.")
    if new.group is not None and new.atomic:
        raise ValueError(
            f"{new.name}: `group` is for effects outside the database (`atomic=False`)."
        )
    if new.burst is not None and (new.split or new.statement):
        raise ValueError(f"{new.name}: `burst` excludes `split` and `statement`.")
    if new.time_limit_seconds is not None and new.time_limit_seconds < 1:
        raise ValueError(f"{new.name}: the time limit is at least 1 second.")
    for retry in (new.retry, *new.retry_by_error.values()):
        waits_of(retry.otherwise(new.retry), new.policy)


def all_handlers() -> list[Handler]:
    """Return every handler once, sorted by its current name."""
    return [handlers[name] for name in sorted(handlers) if handlers[name].name == name]


def route(name: str, *_: Any, **__: Any) -> dict[str, str] | None:
    """Route a handler's messages to its queue, and others to the default one (for Celery)."""
    return {"queue": handlers[name].queue} if name in handlers else None
