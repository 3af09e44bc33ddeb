"""Make messages from entries, by the application's translations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import InterfaceError, OperationalError

from eventbook.bridges.entries import Entry
from eventbook.bridges.envelope import Message, message_of
from eventbook.declare.bridges import (
    Bridge,
    bridges_by_event,
    integration_type_of_class,
    translations,
)
from eventbook.declare.events import NewerEvent, Recorded, decode
from eventbook.observe.failures import class_and_place

# The reason to park an entry that another process recorded: a newer one, or with other variables.
NOT_PUBLISHED = "The bridge publishes nothing of such events, as far as this process knows."


@dataclass
class Batch:
    """What becomes of a batch of entries, by their ids and in this order.

    Entries in neither field don't leave.
    """

    messages: dict[int, Message] = field(default_factory=dict)
    # The reason for each entry that can't be translated.
    failed: dict[int, str] = field(default_factory=dict)


def translate(entries: Sequence[Entry], bridge: Bridge) -> Batch:
    """Translate entries to messages: those that their translation returns and the bridge publishes.

    Raise NewerEvent for an event of a newer release, whose bridge will publish it.
    """
    batch = Batch()
    by_type: defaultdict[str, list[tuple[Entry, Recorded[Any]]]] = defaultdict(list)
    for entry, recorded in _read(entries, bridge, batch.failed):
        by_type[entry.type or ""].append((entry, recorded))
    for event_type, pairs in by_type.items():
        made = _translated(event_type, [recorded for _, recorded in pairs])
        for entry, recorded in pairs:
            try:
                message = _message(made.get(recorded.id), recorded, entry.traceparent, bridge)
            except Exception as error:
                batch.failed[entry.id] = f"Its translation failed: {class_and_place(error)}."
            else:
                if message is not None:
                    batch.messages[entry.id] = message
    # Events of several types may be of one subject, whose order counts.
    batch.messages = dict(sorted(batch.messages.items()))
    return batch


def _read(
    entries: Sequence[Entry], bridge: Bridge, failed: dict[int, str]
) -> Iterator[tuple[Entry, Recorded[Any]]]:
    """Yield the entries whose events still exist, with them; add reasons for others to `failed`."""
    published = bridges_by_event((bridge,))
    for entry in entries:
        if entry.type is None:
            continue
        if entry.type not in published:
            failed[entry.id] = NOT_PUBLISHED
            continue
        try:
            event = decode(entry.type, entry.version, entry.data)
        except NewerEvent:
            raise
        except Exception as error:  # also of an upcaster
            failed[entry.id] = f"Its data can't be read: {class_and_place(error)}."
        else:
            yield entry, Recorded(entry.event_id, entry.recorded_at, entry.priority, event)


def _message(
    made: Any, recorded: Recorded[Any], traceparent: str, bridge: Bridge
) -> Message | None:
    """Return the message with what a translation made, or None if the bridge doesn't publish it.

    Raise the error if it made one.
    """
    if isinstance(made, Exception):
        raise made
    if made is None or integration_type_of_class[type(made)].type not in bridge.publish:
        return None
    return message_of(recorded, made, traceparent=traceparent)


def waves(messages: dict[int, Message]) -> Iterator[dict[int, Message]]:
    """Split messages in order of their entries so that each wave has an aggregate at most once.

    A target may store the messages of a wave in any order, or only some of them. An aggregate's
    second message is sent when its first is confirmed, so its messages stay in order.
    """
    found: list[dict[int, Message]] = []
    count_by_aggregate: defaultdict[str, int] = defaultdict(int)
    for id, message in messages.items():
        number = count_by_aggregate[message.aggregate]
        count_by_aggregate[message.aggregate] += 1
        if number == len(found):
            found.append({})
        found[number][id] = message
    yield from found


def _translated(event_type: str, events: Sequence[Recorded[Any]]) -> dict[UUID, Any]:
    """Return the integration event, or the exception, for each event that has one.

    If a batch fails, each of its events is translated alone, so that one bad event holds up no
    other.
    """
    function = translations[event_type].translate
    try:
        return dict(function(events))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        if len(events) == 1:
            return {events[0].id: error}
    found: dict[UUID, Any] = {}
    for recorded in events:
        found |= _translated(event_type, [recorded])
    return found


def ids_of(messages: dict[int, Message], event_ids: Collection[UUID]) -> list[int]:
    """Return the entries' ids of the messages with these event ids."""
    return [id for id, message in messages.items() if message.id in event_ids]
