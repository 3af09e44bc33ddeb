"""The bridges to Redis Streams and Pub/Sub, on a real Valkey."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest

from eventbook.bridges.publishing import Publisher
from eventbook.bridges.targets.base import TargetDown
from eventbook.models import BridgeEntry
from tests.eventbook.bridges.conftest import SEEN, Configure, Processes
from tests.eventbook.bridges.load import break_at_random, expected, first_numbers, load
from tests.harness.processes import wait_for
from tests.harness.redises import PASSWORD, ValkeyServer
from tests.probe.sending import send


def stream(server: ValkeyServer) -> list[dict[str, Any]]:
    with server.client() as client:
        rows: Any = client.xrange("events")
        return [json.loads(fields["event"]) for _, fields in rows]


class Subscriber(threading.Thread):
    """Another system that listens on Pub/Sub, but not always."""

    def __init__(self, server: ValkeyServer) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.received: list[dict[str, Any]] = []
        self.subscribed, self.stopped = threading.Event(), threading.Event()

    def run(self) -> None:
        with self.server.client() as client, client.pubsub() as channel:
            channel.psubscribe("events:*")
            while not self.stopped.is_set():
                message = channel.get_message(timeout=0.1)
                if message is not None and message["type"] == "psubscribe":
                    self.subscribed.set()
                elif message is not None:
                    assert message["channel"] == f"events:{SEEN}"
                    self.received.append(json.loads(message["data"]))

    def stop(self) -> None:
        self.stopped.set()
        self.join()


def test_an_event_is_appended_to_the_stream(
    transactional_db: None, valkey: ValkeyServer, configure: Configure
) -> None:
    publisher = Publisher(configure("streams", valkey.url("redis-streams")))
    send("a", "b")

    publisher.step()
    publisher.target.close()

    assert [event["subject"] for event in stream(valkey)] == ["probes/a", "probes/b"]
    assert not BridgeEntry.objects.exists()


def test_a_stream_is_trimmed_to_its_maximum(
    transactional_db: None, valkey: ValkeyServer, configure: Configure
) -> None:
    publisher = Publisher(configure("streams", valkey.url("redis-streams") + "?maxlen=100"))
    send(*[str(number) for number in range(1_000)])

    while publisher.step():
        pass
    publisher.target.close()

    assert 100 <= len(stream(valkey)) < 300


def test_a_redis_without_memory_is_an_outage(
    transactional_db: None, valkey: ValkeyServer, configure: Configure
) -> None:
    publisher = Publisher(configure("streams", valkey.url("redis-streams")))
    with valkey.client() as client:
        client.config_set("maxmemory", "1mb")
    send("a")

    with pytest.raises(TargetDown, match="Redis: OutOfMemoryError"):
        publisher.step()
    publisher.target.close()

    assert BridgeEntry.objects.count() == 1


def test_both_ends_of_streams_are_killed_under_load_and_nothing_is_lost_or_out_of_order(
    valkey: ValkeyServer, configure: Configure, processes: Processes
) -> None:
    configure("streams", valkey.url("redis-streams"))
    running = [processes.start("publish", "streams")]

    def restart_the_bridge() -> None:
        processes.kill(running.pop())
        running.append(processes.start("publish", "streams"))

    def restart_the_server() -> None:
        valkey.kill()
        valkey.start()

    with load() as recorded:
        wait_for(lambda: stream(valkey), seconds=30, what="the bridge publishes")
        break_at_random([restart_the_bridge, restart_the_server], times=6, seed=3)
    wait_for(lambda: not BridgeEntry.objects.exists(), seconds=60, what="all is published")

    arrived = stream(valkey)
    assert first_numbers(arrived) == expected(recorded.sent)
    repeated = sum(Counter(event["id"] for event in arrived).values()) - recorded.total
    print(f"{recorded.total} events, {repeated} of them twice")  # noqa: T201
    assert PASSWORD not in processes.log_text()


def test_pub_sub_loses_what_is_published_while_a_subscriber_is_away(
    transactional_db: None, valkey: ValkeyServer, configure: Configure
) -> None:
    publisher = Publisher(configure("pubsub", valkey.url("redis-pubsub")))
    received = 0
    for is_there in (True, False, True):
        subscriber = Subscriber(valkey)
        if is_there:
            subscriber.start()
            assert subscriber.subscribed.wait(10)
        send(*[str(number) for number in range(500)])
        publisher.step()
        if is_there:
            wait_for(lambda: len(subscriber.received) == 500, seconds=10, what="all arrives")  # noqa: B023
            subscriber.stop()
            received += 500
    publisher.target.close()

    assert not BridgeEntry.objects.exists()
    assert received == 1_000  # of 1,500: those of the time without a subscriber are lost
