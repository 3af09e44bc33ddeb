"""What crosses a bridge: integration events, and the functions that translate to and from them.

A *bridge* connects this system with another one, its *target*. What crosses it is an *integration
event*: a contract with other systems, apart from the domain events inside. It has a name, a version
and a dataclass of its own, and only functions that the application declares make it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from eventbook.declare.events import Recorded

Translate = Callable[[Sequence[Recorded[Any]]], Mapping[UUID, Any]]
TranslateFunction = TypeVar("TranslateFunction", bound=Translate)
T = TypeVar("T")
Class = TypeVar("Class", bound=type)


class SignalOfEvents(Protocol):
    """A domain signal (record/signals.py): only the wire name of its events matters here."""

    name: str


@dataclass(frozen=True)
class Bridge:
    """A bridge as the environment configures it (config/bridges.py).

    `publish` and `consume` are the types of integration events that leave and that come in. The
    scheme of `url` chooses the kind of target (eventbook/bridges/kinds.py).
    """

    name: str
    # Not in the representation, because it may have a password.
    url: str = field(repr=False)
    publish: frozenset[str] = frozenset()
    consume: frozenset[str] = frozenset()
    # Where an event goes in the target, with `{type}` for its type; "" for the kind's default.
    subject: str = ""
    # For HTTP: the bearer token.
    token: str = field(default="", repr=False)


@dataclass(frozen=True)
class IntegrationType:
    """A kind of integration event: its dataclass, and its name and version in other systems."""

    name: str
    version: int
    dataclass: type[Any]

    @property
    def type(self) -> str:
        """The type attribute in CloudEvents, by which consumers select events."""
        return f"{self.name}.v{self.version}"


@dataclass(frozen=True)
class Translation:
    """A function that makes integration events of these classes from one type of domain event."""

    makes: tuple[type[Any], ...]
    translate: Translate


@dataclass(frozen=True, slots=True)
class Received(Generic[T]):
    """An event from another system, as a receiver gets it.

    `source` and `id` identify the event; `time` is None if the sender left it out.
    """

    source: str
    id: str
    type: str
    subject: str
    time: datetime | None
    data: T


@dataclass(frozen=True)
class Receiver:
    """A function that takes in one type of integration event, and the dataclass of its data."""

    dataclass: type[Any]
    receive: Callable[[Received[Any]], None]


integration_types: dict[str, IntegrationType] = {}
integration_type_of_class: dict[type, IntegrationType] = {}
# The translation of each type of domain event that has one.
translations: dict[str, Translation] = {}
# The receiver of each type of integration event that may come in.
receivers: dict[str, Receiver] = {}


def integration_event(name: str, *, version: int) -> Callable[[Class], Class]:
    """Register the decorated frozen dataclass as an integration event; its fields are the contract.

    Other systems rely on the fields: to change or remove one, register a new version, and publish
    both for a time. Raise ValueError for a name and version in use.
    """

    def register(cls: Class) -> Class:
        known = IntegrationType(name, version, cls)
        if known.type in integration_types:
            raise ValueError(f"The integration event {known.type!r} is registered already.")
        integration_types[known.type] = integration_type_of_class[cls] = known
        return cls

    return register


def translates(
    signal: SignalOfEvents, *, makes: Sequence[type[Any]]
) -> Callable[[TranslateFunction], TranslateFunction]:
    """Make the decorated function the translation of a signal's events.

    It gets a batch of recorded events, and returns an integration event for each id that may leave
    the system. An event that is left out does not leave. It may run much later than the event, so
    it must query what is private now. Raise ValueError if the signal has a translation.
    """

    def register(translate: TranslateFunction) -> TranslateFunction:
        if signal.name in translations:
            raise ValueError(f"Events {signal.name!r} have a translation already.")
        translations[signal.name] = Translation(tuple(makes), translate)
        return translate

    return register


def receives(
    name: str, *, version: int, data: type[T]
) -> Callable[[Callable[[Received[T]], None]], Callable[[Received[T]], None]]:
    """Make the decorated function the receiver of an integration event of other systems.

    It runs in the transaction that notes the event as received, once for each source and id, and
    should only send domain signals: their handlers do the work. Data that does not fit the
    dataclass `data` never reaches it. Raise ValueError if the type has a receiver.
    """
    type_name = f"{name}.v{version}"

    def register(receive: Callable[[Received[T]], None]) -> Callable[[Received[T]], None]:
        if type_name in receivers:
            raise ValueError(f"The integration event {type_name!r} has a receiver already.")
        receivers[type_name] = Receiver(data, receive)
        return receive

    return register


@lru_cache(maxsize=8)
def bridges_by_event(bridges: tuple[Bridge, ...]) -> dict[str, tuple[str, ...]]:
    """Return the names of the bridges that may publish something of each type of domain event."""
    found: dict[str, tuple[str, ...]] = {}
    for event_type, translation in translations.items():
        types = {integration_type_of_class[cls].type for cls in translation.makes}
        if names := tuple(bridge.name for bridge in bridges if bridge.publish & types):
            found[event_type] = names
    return found
