"""What comes in: validated, taken in once, or parked where operators see it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from eventbook.bridges.reading import Arrival
from eventbook.bridges.taking_in import take_in
from eventbook.declare.bridges import Bridge
from eventbook.models import Event, Operation, OutboxEntry, ParkedMessage, ReceivedEvent
from eventbook.operate.actions import replay_parked
from tests.eventbook.bridges.conftest import HAPPENED, Configure

pytestmark = pytest.mark.django_db(transaction=True)

STRUCTURED = {"content-type": "application/cloudevents+json; charset=utf-8"}
BINARY = {"ce-specversion": "1.0", "ce-source": "/another", "ce-type": HAPPENED}


@pytest.fixture
def bridge(configure: Configure) -> Bridge:
    return configure(
        "one", "nats://127.0.0.1:1", publish=frozenset(), consume=frozenset({HAPPENED})
    )


def arrival(id: str = "1", text: str = "ok", **changes: Any) -> Arrival:
    """Return a valid message, with other attributes or without those that are None."""
    event = {
        "specversion": "1.0", "id": id, "source": "/another", "type": HAPPENED,
        "data": {"key": f"key-{id}", "text": text},
    } | changes  # fmt: skip
    present = {name: value for name, value in event.items() if value is not None}
    return Arrival(STRUCTURED, json.dumps(present).encode())


def keys() -> list[str]:
    return [event.data["key"] for event in Event.objects.order_by("id")]


def test_an_event_is_recorded_once_however_often_it_comes(bridge: Bridge) -> None:
    assert take_in(bridge, [arrival("1"), arrival("1"), arrival("2")]) == Counter(
        recorded=2, repeated=1
    )
    assert take_in(bridge, [arrival("2"), arrival("3")]) == Counter(recorded=1, repeated=1)

    assert keys() == ["key-1", "key-2", "key-3"]
    assert OutboxEntry.objects.count() == 3


def test_the_same_id_of_another_source_is_another_event(bridge: Bridge) -> None:
    take_in(bridge, [arrival("1"), arrival("1", source="/elsewhere")])

    assert keys() == ["key-1", "key-1"]


@pytest.mark.parametrize("prefix", ["ce-", "cloudevents_", "cloudevents:"])
def test_the_binary_mode_is_read_too(bridge: Bridge, prefix: str) -> None:
    attributes = {"specversion": "1.0", "id": "1", "source": "/another", "type": HAPPENED}
    headers = {f"{prefix}{name}": value for name, value in attributes.items()}
    body = b'{"key": "binary", "text": "ok"}'

    take_in(bridge, [Arrival(headers | {"content-type": "application/json"}, body)])

    assert keys() == ["binary"]


def test_data_in_base64_is_read_too(bridge: Bridge) -> None:
    encoded = "eyJrZXkiOiAiNjQiLCAidGV4dCI6ICJvayJ9"

    take_in(bridge, [arrival("1", data=None, data_base64=encoded)])

    assert keys() == ["64"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Arrival(STRUCTURED, b"{"), "It is no CloudEvent 1.0"),
        (Arrival(STRUCTURED, b"\xff\xfe"), "It is no CloudEvent 1.0"),
        (Arrival({}, b"words"), "It is no CloudEvent 1.0"),
        (arrival(specversion="0.3"), "It is no CloudEvent 1.0"),
        (arrival(id=""), "at `$.id`"),
        (arrival(id="a\x00b"), "at `$.id`"),
        (arrival(id="x" * 256), "at `$.id`"),
        (arrival(source=None), "field `source`"),
        (arrival(time="yesterday"), "at `$.time`"),
        (arrival(data={"key": 1, "text": ""}), "Its data does not fit"),
        (arrival(data=None), "Its data does not fit"),
        (arrival(datacontenttype="text/xml"), "Its data is not JSON."),
        (arrival(data={"key": "x" * 2**20, "text": ""}), "It is larger than"),
        (arrival(data={"key": "a\x00b", "text": ""}), "Its receiver failed: "),
        (Arrival({"a\x00": "\x00"}, b"words"), "It is no CloudEvent 1.0"),
        (Arrival({"\ud800": "\ud800"}, b"words"), "It is no CloudEvent 1.0"),
        (Arrival(BINARY | {"ce-id": "\ud800"}, b'{"key": "a", "text": ""}'), "Its receiver"),
    ],
    ids=range(17),
)
def test_what_is_wrong_is_parked_with_the_reason_and_holds_up_no_other(
    bridge: Bridge, message: Arrival, reason: str
) -> None:
    outcomes = take_in(bridge, [arrival("before"), message, arrival("after")])

    assert outcomes == Counter(recorded=2, parked=1)
    assert keys() == ["key-before", "key-after"]
    parked = ParkedMessage.objects.get()
    assert reason in parked.reason
    assert bytes(parked.body) == message.body


def test_a_receiver_that_fails_leaves_nothing_and_its_message_is_parked(bridge: Bridge) -> None:
    outcomes = take_in(bridge, [arrival("1"), arrival("2", "unacceptable"), arrival("3")])

    assert outcomes == Counter(recorded=2, parked=1)
    assert keys() == ["key-1", "key-3"]
    assert not ReceivedEvent.objects.filter(identifier="2").exists()
    reason = ParkedMessage.objects.get().reason
    assert "ValueError at tests/probe/integration.py" in reason
    assert "private words" not in reason


def test_a_type_that_the_bridge_does_not_consume_is_ignored(bridge: Bridge) -> None:
    assert take_in(bridge, [arrival(type="unknown.v1")]) == Counter(ignored=1)
    assert not ParkedMessage.objects.exists()


def test_a_parked_message_is_taken_in_when_it_is_replayed_after_a_repair(
    bridge: Bridge, settings: Any
) -> None:
    settings.BRIDGES = (bridge,)
    take_in(bridge, [arrival("1", data={"key": 1})])
    message = ParkedMessage.objects.get()

    assert replay_parked("one", None, actor="test") == 1
    again = ParkedMessage.objects.get()  # the data is still wrong
    assert (again.pk, again.reason) == (message.pk + 1, message.reason)
    again.body = arrival("1").body
    again.save()
    replay_parked("one", [again.pk], actor="test")

    assert keys() == ["key-1"]
    assert not ParkedMessage.objects.exists()
    assert Operation.objects.count() == 2


def test_a_parked_message_whose_type_is_not_consumed_any_more_is_kept(
    bridge: Bridge, settings: Any
) -> None:
    take_in(bridge, [arrival("1", data={"key": 1})])
    settings.BRIDGES = (replace(bridge, consume=frozenset()),)

    with pytest.raises(LookupError, match="does not consume the types of 1 messages"):
        replay_parked("one", None, actor="test")

    assert ParkedMessage.objects.count() == 1
