"""Events: what they are in Python, and what they are on disk and on the wire.

An event is a small frozen dataclass under a wire name and a version. It is stored and published
in the terms of CloudEvents 1.0 (https://github.com/cloudevents/spec).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID

import msgspec

SOURCE = "/commonplace"

type_of_name: dict[str, EventType] = {}
type_of_class: dict[type, EventType] = {}


class Subject(Protocol):
    """An event dataclass: its fields are its data, `subject` names what it is about."""

    @property
    def subject(self) -> str: ...


E = TypeVar("E", bound=Subject)
T_co = TypeVar("T_co", covariant=True)
Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownEvent(Exception):
    """No event of this name is known to this process."""


class NewerEvent(Exception):
    """The event was written by a newer release; a worker of that release will take it."""


@dataclass(frozen=True)
class EventType:
    """A wire name, its present version, its dataclass, and how older data becomes present data."""

    name: str
    version: int
    dataclass: type[Any]
    upcasters: dict[int, Upcast]


class KeyRange(NamedTuple):
    """The part of an event's work that a delivery stands for: keys from `first` up to `after`."""

    first: int
    after: int


FEW = 20  # events
ALL_KEYS = KeyRange(-(2**63), 2**63 - 1)


def span(ranges: Sequence[KeyRange]) -> KeyRange:
    """Return the range that covers all of them."""
    return KeyRange(min(keys.first for keys in ranges), max(keys.after for keys in ranges))


@dataclass(frozen=True, slots=True)
class Recorded(Generic[T_co]):
    """An event as the store holds it: `time` is when it was recorded (UTC).

    `keys` is the part of its work that is meant, for a handler that splits large work.
    """

    id: UUID
    time: datetime
    priority: int
    event: T_co
    keys: KeyRange = ALL_KEYS


def is_large(parts: Sequence[KeyRange]) -> bool:
    """Return whether a batch, by the keys of its events, has much to write."""
    return len(parts) > FEW or any(keys != ALL_KEYS for keys in parts)


def event_type(name: str, *, version: int) -> Callable[[type[E]], type[E]]:
    """Register a frozen dataclass as the event of that wire name."""

    def register(cls: type[E]) -> type[E]:
        if name in type_of_name:
            raise ValueError(f"The event name {name!r} is taken by {type_of_name[name].dataclass}.")
        known = EventType(name, version, cls, {})
        type_of_name[name] = type_of_class[cls] = known
        return cls

    return register


def upcaster(name: str, *, from_version: int) -> Callable[[Upcast], Upcast]:
    """Register the function that turns data of one version into that of the next."""

    def register(upcast: Upcast) -> Upcast:
        type_of_name[name].upcasters[from_version] = upcast
        return upcast

    return register


def encode(event: Subject) -> bytes:
    """Return the event's data as JSON."""
    return msgspec.json.encode(event)


def decode(name: str, version: int, data: str | bytes) -> Any:
    """Return the event dataclass of stored JSON, brought up to the present version.

    Fields that the dataclass doesn't have are ignored: a newer release may have added them.
    Raises UnknownEvent, NewerEvent, or msgspec.ValidationError for data of another shape.
    """
    try:
        known = type_of_name[name]
    except KeyError:
        raise UnknownEvent(f"No event type {name!r} is registered in this process.") from None
    if version > known.version:
        raise NewerEvent(f"{name} has version {version} here; this release knows {known.version}.")
    if version == known.version:
        return msgspec.json.decode(data, type=known.dataclass)
    fields = msgspec.json.decode(data)
    for step in range(version, known.version):
        fields = known.upcasters[step](fields)
    return msgspec.convert(fields, known.dataclass)


def cloud_event(
    *, id: UUID, type: str, version: int, subject: str, time: datetime, data: Any, traceparent: str
) -> dict[str, Any]:
    """Return a stored event as a CloudEvents 1.0 envelope in JSON terms."""
    envelope = {
        "specversion": "1.0",
        "id": str(id),
        "source": SOURCE,
        "type": type,
        "subject": subject,
        "time": time.isoformat(),
        "datacontenttype": "application/json",
        "dataschema": f"{SOURCE}/schemas/{type}/{version}",
        "data": data,
    }
    return envelope | ({"traceparent": traceparent} if traceparent else {})
