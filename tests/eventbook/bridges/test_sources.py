"""Events of other systems come in from real servers, once, whatever is killed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import OperationalError

from eventbook.bridges.consuming import Consumer
from eventbook.models import Event, ParkedMessage
from tests.eventbook.bridges.conftest import CONSUME, Configure, Processes
from tests.eventbook.bridges.load import break_at_random, numbers
from tests.eventbook.bridges.others import (
    Other,
    OverNats,
    OverPubSub,
    OverRabbit,
    OverStreams,
    event,
)
from tests.harness.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)
OTHERS: dict[str, Any] = {
    "nats": ("nats", OverNats),
    "rabbit": ("rabbit", OverRabbit),
    "streams": ("valkey", OverStreams),
}
MANY = 3_000


@pytest.fixture(params=OTHERS)
def other(request: pytest.FixtureRequest) -> Other:
    fixture, kind = OTHERS[request.param]
    found: Other = kind(request.getfixturevalue(fixture))
    return found


def recorded() -> dict[str, list[int]]:
    """Return the numbers of the recorded events by key, in the order of their recording."""
    rows = Event.objects.filter(type="probe.sent").order_by("recorded_at", "id")
    return numbers(
        {"data": {"key": row.data["key"], "text": row.data["behaviour"]}} for row in rows
    )


def test_events_are_taken_in_and_others_ignored_or_parked(
    other: Other, configure: Configure
) -> None:
    consumer = Consumer(configure("other", other.url, **CONSUME))
    consumer.step()  # so that RabbitMQ has the queue
    broken = event("b", 1)
    del broken["source"]
    other.send([event("a", 1), event("a", 1), broken, event("a", 2)])

    wait_for(
        lambda: consumer.step() == 0 and len(recorded().get("a", [])) == 2,
        seconds=20,
        what="all comes in",
    )
    consumer.source.close()

    assert recorded() == {"a": [1, 2]}
    assert "source" in ParkedMessage.objects.get().reason


def test_what_was_not_acknowledged_comes_again_and_has_no_second_effect(
    other: Other, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbook.bridges.sources.nats.ACKNOWLEDGE_SECONDS", 1.0)
    bridge = configure("other", other.url, **CONSUME)
    first, second = Consumer(bridge), Consumer(bridge)
    first.step()
    other.send([event("a", 1)])
    monkeypatch.setattr(first.source, "acknowledge", lambda arrivals: None)
    wait_for(lambda: first.step() and recorded(), seconds=10, what="it comes")
    first.source.close()

    wait_for(second.step, seconds=10, what="it comes again")
    second.source.close()

    assert recorded() == {"a": [1]}


def test_a_bridge_that_consumes_more_types_goes_on_where_it_was(
    other: Other, configure: Configure
) -> None:
    bridge = configure("other", other.url, **CONSUME)
    before = Consumer(bridge)
    before.step()
    other.send([event("a", 1)])
    wait_for(before.step, seconds=10, what="it comes")
    before.source.close()

    after = Consumer(replace(bridge, consume=bridge.consume | {"another.thing.v2"}))
    after.step()
    other.send([event("a", 2)])
    wait_for(lambda: after.step() == 0 and len(recorded()["a"]) > 1, seconds=10, what="it comes")
    after.source.close()

    assert recorded() == {"a": [1, 2]}


def test_what_came_while_the_database_was_down_is_taken_in_later(
    other: Other, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbook.bridges.sources.nats.ACKNOWLEDGE_SECONDS", 1.0)
    consumer = Consumer(configure("other", other.url, **CONSUME))
    consumer.step()
    other.send([event("a", 1), event("a", 2)])

    def fail(*_: Any) -> None:
        raise OperationalError

    with monkeypatch.context() as broken:
        broken.setattr("eventbook.bridges.consuming.take_in", fail)
        with pytest.raises(OperationalError):
            wait_for(consumer.step, seconds=10, what="they come")
    wait_for(lambda: consumer.step() == 0 and "a" in recorded(), seconds=10, what="they come again")
    consumer.source.close()

    assert sorted(recorded()["a"]) == [1, 2]


def test_both_ends_are_killed_under_load_and_nothing_is_lost_or_doubled(
    other: Other, configure: Configure, processes: Processes
) -> None:
    consumer = Consumer(configure("other", other.url, **CONSUME))
    consumer.step()
    consumer.source.close()
    other.send(event("a", number) for number in range(MANY))
    running = [processes.start("consume", "other")]

    def restart_the_bridge() -> None:
        processes.kill(running.pop())
        running.append(processes.start("consume", "other"))

    wait_for(recorded, seconds=30, what="the bridge consumes")
    break_at_random([restart_the_bridge, other.restart], times=4, seed=5)
    wait_for(
        lambda: Event.objects.count() >= MANY,
        seconds=90,
        what="all comes in",
    )

    assert sorted(recorded()["a"]) == list(range(MANY))


def test_pub_sub_comes_in_while_the_bridge_listens(valkey: Any, configure: Configure) -> None:
    other = OverPubSub(valkey)
    consumer = Consumer(configure("pubsub", other.url, **CONSUME))
    other.send([event("a", 1)])  # nobody listens yet
    consumer.step()
    other.send([event("a", 2), event("a", 3)])

    wait_for(consumer.step, seconds=10, what="they come")
    consumer.source.close()

    assert recorded() == {"a": [2, 3]}
