"""Event types, and the conversion of events to and from their stored form.

An event is a small frozen dataclass, registered with a wire name and a version. For operators it is
shown as a CloudEvents 1.0 envelope (https://github.com/cloudevents/spec).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, dataclass_transform
from uuid import UUID

import msgspec

SOURCE = "/commonplace"

type_of_name: dict[str, EventType] = {}
type_of_class: dict[type, EventType] = {}


class DomainEvent(Protocol):
    """An event's dataclass; `subject` names the object that changed, for example `cards/12`."""

    @property
    def subject(self) -> str: ...


E = TypeVar("E", bound=DomainEvent)
T_co = TypeVar("T_co", covariant=True)
Upcast = Callable[[dict[str, Any]], dict[str, Any]]


class UnknownEvent(Exception):
    """No event type of this name is registered in this process."""


class NewerEvent(Exception):
    """The event was written by a newer release, and has to wait for a worker of that release."""


@dataclass(frozen=True)
class EventType:
    """A wire name, its current version and dataclass, and the upcasters (see `event_type`)."""

    name: str
    version: int
    dataclass: type[Any]
    upcasters: Mapping[int, Upcast]
    numbered: bool = False


class KeyRange(NamedTuple):
    """A delivery's share of an event's work: the rows with `first` <= key < `after`.

    A key is for example the id of a follower to notify. The default range is all keys.
    """

    first: int = -(2**63)
    after: int = 2**63 - 1

    @staticmethod
    def parameters(ranges: Sequence[KeyRange]) -> dict[str, Any]:
        """Return the SQL parameters for ranges, one per event of a batch.

        `firsts` and `afters` are arrays. `lowest` and `highest` bound the keys of all ranges; as
        strings, because SQL parses the lowest bigint as a minus sign and a number out of range.
        """
        firsts, afters = [keys.first for keys in ranges], [keys.after for keys in ranges]
        bounds = {"lowest": str(min(firsts)), "highest": str(max(afters))}
        return {"firsts": firsts, "afters": afters} | bounds


SMALL_BATCH = 20  # events: the largest batch that counts as small
ALL_KEYS = KeyRange()


@dataclass(frozen=True, slots=True)
class Recorded(Generic[T_co]):
    """An event as a handler gets it: `time` is when it was recorded (UTC).

    A handler with `split` must work only on rows whose key is in `keys`.
    """

    id: UUID
    time: datetime
    priority: int
    event: T_co
    keys: KeyRange = ALL_KEYS


@dataclass_transform(frozen_default=True, kw_only_default=True)
def event_type(
    name: str,
    *,
    version: int,
    upcasters: Mapping[int, Upcast] | None = None,
    numbered: bool = False,
) -> Callable[[type[E]], type[E]]:
    """Make the decorated class a frozen dataclass, and register it under a wire name.

    `upcasters[n]` is a function that turns data of version n into data of version n + 1. Each
    `numbered` event gets the next number of its subject, beside those of other numbered types; the
    last number is the subject's version. Raise ValueError if the name is taken.
    """

    def register(cls: type[E]) -> type[E]:
        if name in type_of_name:
            raise ValueError(f"The event name {name!r} is taken by {type_of_name[name].dataclass}.")
        made: type[E] = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        known = EventType(name, version, made, upcasters or {}, numbered)
        type_of_name[name] = type_of_class[made] = known
        return made

    return register


def numbered_types() -> list[str]:
    """Return the names of the numbered event types."""
    return [known.name for known in type_of_name.values() if known.numbered]


def encode(event: DomainEvent) -> bytes:
    """Return the event's data as JSON."""
    return msgspec.json.encode(event)


def decode(name: str, version: int, data: str | bytes) -> Any:
    """Return the event of stored JSON, upcast to the current version if it is older.

    Fields that the dataclass doesn't have are ignored, since a newer release may have added them.
    Raise UnknownEvent for a name that is not registered, NewerEvent for a version of a newer
    release, and msgspec.ValidationError for data of another shape.
    """
    try:
        known = type_of_name[name]
    except KeyError:
        raise UnknownEvent(f"No event type {name!r} is registered in this process.") from None
    if version > known.version:
        raise NewerEvent(f"{name} has version {version}, but this release knows {known.version}.")
    if version == known.version:
        return msgspec.json.decode(data, type=known.dataclass)
    fields = msgspec.json.decode(data)
    for step in range(version, known.version):
        fields = known.upcasters[step](fields)
    return msgspec.convert(fields, known.dataclass)


def cloud_event(
    *, id: UUID, type: str, version: int, subject: str, time: datetime, data: Any, traceparent: str
) -> dict[str, Any]:
    """Return a stored event as a CloudEvents 1.0 envelope, ready to be encoded as JSON."""
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
