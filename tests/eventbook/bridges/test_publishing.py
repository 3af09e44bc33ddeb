"""How a bridge publishes: order, confirmation, refusal, and what may not leave."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.db import transaction

from eventbook.bridges.envelope import Message
from eventbook.bridges.publishing import Publisher
from eventbook.bridges.targets.base import TargetDown
from eventbook.declare.bridges import Translation, translations
from eventbook.declare.events import type_of_name
from eventbook.models import BridgeEntry, Event, ParkedMessage
from eventbook.operate.actions import replay_parked
from tests.eventbook.bridges.conftest import Configure
from tests.probe.sending import send
from tests.probe.signals import ProbeSent, ProbeTried, probe_sent, probe_tried


class Scripted:
    """A target that keeps the waves it gets, and does with each as the test says."""

    def __init__(self) -> None:
        self.waves: list[list[Message]] = []
        self.behave: Callable[[Sequence[Message]], Mapping[UUID, str]] = lambda wave: {}

    def publish(self, messages: Sequence[Message]) -> Mapping[UUID, str]:
        self.waves.append(list(messages))
        return self.behave(messages)

    def idle(self) -> None:
        pass

    def close(self) -> None:
        pass

    def keys(self) -> list[list[str]]:
        return [[message.aggregate.removeprefix("probes/") for message in w] for w in self.waves]


@pytest.fixture
def target(transactional_db: None) -> Scripted:
    return Scripted()


@pytest.fixture
def publisher(configure: Configure, target: Scripted) -> Publisher:
    made = Publisher(configure("one", "nats://127.0.0.1:1"))
    made.target.close()
    made.target = target
    return made


def test_a_confirmed_event_is_published_once(publisher: Publisher, target: Scripted) -> None:
    send("a", "b")

    assert publisher.step() == 2
    assert publisher.step() == 0

    assert target.keys() == [["a", "b"]]
    assert not BridgeEntry.objects.exists()


def test_the_second_event_of_an_aggregate_waits_for_the_first(
    publisher: Publisher, target: Scripted
) -> None:
    for key in "aabca":
        send(key)

    publisher.step()

    assert target.keys() == [["a", "b", "c"], ["a"], ["a"]]
    ids = [message.id for wave in target.waves for message in wave if "a" in message.aggregate]
    assert ids == sorted(ids)


def test_events_of_several_types_are_in_the_order_of_their_subject(
    publisher: Publisher, target: Scripted
) -> None:
    with transaction.atomic():
        probe_tried.send(sender=None, event=ProbeTried(key="b"))
        probe_sent.send(sender=None, event=ProbeSent(key="a", behaviour="1"))
        probe_tried.send(sender=None, event=ProbeTried(key="a", behaviour="2"))
        probe_sent.send(sender=None, event=ProbeSent(key="a", behaviour="3"))

    publisher.step()

    sent = [json.loads(message.data) for wave in target.waves for message in wave]
    assert [data["text"] for data in sent if data["key"] == "a"] == ["1", "2", "3"]


def test_what_was_confirmed_before_an_outage_is_not_sent_again(
    publisher: Publisher, target: Scripted
) -> None:
    def fail(wave: Sequence[Message]) -> Mapping[UUID, str]:
        raise TargetDown("gone", [wave[0].id])

    send("a", "b", "c", "a")
    target.behave = fail
    with pytest.raises(TargetDown):
        publisher.step()
    target.behave = lambda wave: {}
    publisher.step()

    assert target.keys() == [["a", "b", "c"], ["b", "c", "a"]]


def test_a_message_that_the_target_refuses_is_parked_and_holds_up_no_other(
    publisher: Publisher, target: Scripted
) -> None:
    send("a", "b")
    target.behave = lambda wave: {wave[0].id: "It is too large."}

    publisher.step()

    parked = ParkedMessage.objects.get()
    assert (parked.bridge, parked.reason) == ("one", "It is too large.")
    assert not BridgeEntry.objects.exists()


def test_what_the_translation_leaves_out_does_not_leave(
    publisher: Publisher, target: Scripted
) -> None:
    send("a")
    send("secret", behaviour="private")

    assert publisher.step() == 2

    assert target.keys() == [["a"]]
    assert not BridgeEntry.objects.exists()


def test_an_event_whose_translation_fails_is_parked_without_private_words(
    publisher: Publisher, target: Scripted
) -> None:
    send("a", "b")
    send("bad", behaviour="untranslatable")

    publisher.step()

    parked = ParkedMessage.objects.get()
    assert "ValueError at tests/probe/integration.py" in parked.reason
    assert "private words" not in parked.reason
    assert target.keys() == [["a", "b"]]


def test_what_a_translation_makes_of_another_class_is_parked(
    publisher: Publisher, target: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Translation((), lambda events: {recorded.id: object() for recorded in events})
    send("a")
    monkeypatch.setitem(translations, "probe.sent", wrong)

    publisher.step()

    assert "KeyError" in ParkedMessage.objects.get().reason
    assert target.waves == []


def test_what_this_process_does_not_publish_is_parked_for_one_that_does(
    publisher: Publisher, target: Scripted
) -> None:
    send("a")
    known = publisher.bridge
    publisher.bridge = replace(known, publish=frozenset({"another.v1"}))
    publisher.step()
    assert target.waves == []
    assert not BridgeEntry.objects.exists()

    publisher.bridge = known
    replay_parked("one", None, actor="test")
    publisher.step()

    assert target.keys() == [["a"]]


def test_an_event_whose_upcaster_fails_is_parked_and_holds_up_no_other(
    publisher: Publisher, target: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fields: Any) -> Any:
        raise KeyError("private words")

    send("a")
    Event.objects.update(version=0)
    send("b")
    known = replace(type_of_name["probe.sent"], upcasters={0: fail})
    monkeypatch.setitem(type_of_name, "probe.sent", known)

    publisher.step()

    assert "KeyError" in ParkedMessage.objects.get().reason
    assert "private words" not in ParkedMessage.objects.get().reason
    assert target.keys() == [["b"]]


def test_a_slow_target_is_asked_in_short_steps(
    publisher: Publisher, target: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbook.bridges.publishing.STEP_SECONDS", -1)
    for _ in range(3):
        send("a")

    publisher.step()

    assert BridgeEntry.objects.count() == 2


def test_the_envelope_says_all_that_cloudevents_requires(
    publisher: Publisher, target: Scripted
) -> None:
    from cloudevents.core.bindings.http import HTTPMessage, from_structured_event

    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key="a", behaviour="words"))

    publisher.step()

    (message,) = target.waves[0]
    headers = {"content-type": "application/cloudevents+json"}
    event = from_structured_event(HTTPMessage(headers, message.structured))
    assert event.get_id() == str(message.id)
    assert event.get_source() == "/commonplace"
    assert event.get_type() == "commonplace.probe.seen.v1"
    assert event.get_subject() == "probes/a"
    assert event.get_data() == {"key": "a", "text": "words"}
