"""Other systems that send events: over NATS, RabbitMQ, Redis Streams and Redis Pub/Sub."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, Protocol

import amqp
import nats

from tests.eventbook.bridges.conftest import HAPPENED
from tests.eventbook.bridges.exchange import Exchange
from tests.harness.nats_server import NatsServer
from tests.harness.redises import ValkeyServer

STRUCTURED = "application/cloudevents+json"


def event(key: str, number: int, *, type: str = HAPPENED) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{key}-{number}",
        "source": "/another",
        "type": type,
        "data": {"key": key, "text": str(number)},
    }


class Other(Protocol):
    """A system that sends events, and whose server may be killed and started again."""

    url: str

    def send(self, events: Iterable[dict[str, Any]]) -> None: ...
    def restart(self) -> None: ...


class OverNats:
    def __init__(self, server: NatsServer) -> None:
        self.server, self.url = server, server.url

    def send(self, events: Iterable[dict[str, Any]]) -> None:
        asyncio.run(self._send(events))

    async def _send(self, events: Iterable[dict[str, Any]]) -> None:
        client = await nats.connect(self.server.url.rpartition("/")[0])
        jetstream = client.jetstream()
        for each in events:
            await jetstream.publish(
                f"events.{each['type']}",
                json.dumps(each).encode(),
                headers={"Content-Type": STRUCTURED},
            )
        await client.close()

    def restart(self) -> None:
        self.server.kill()
        self.server.start()


class OverRabbit:
    def __init__(self, exchange: Exchange) -> None:
        self.exchange, self.url = exchange, exchange.url

    def send(self, events: Iterable[dict[str, Any]]) -> None:
        with self.exchange.channel() as channel:
            channel.confirm_select()
            for each in events:
                message = amqp.Message(json.dumps(each), content_type=STRUCTURED, delivery_mode=2)
                channel.basic_publish_confirm(message, "domain_events", each["type"])

    def restart(self) -> None:
        self.exchange.server.kill()
        self.exchange.server.start()


class OverStreams:
    def __init__(self, server: ValkeyServer) -> None:
        self.server, self.url = server, server.url("redis-streams")

    def send(self, events: Iterable[dict[str, Any]]) -> None:
        with self.server.client() as client:
            for each in events:
                client.xadd("events", {"event": json.dumps(each)})

    def restart(self) -> None:
        self.server.kill()
        self.server.start()


class OverPubSub(OverStreams):
    def __init__(self, server: ValkeyServer) -> None:
        super().__init__(server)
        self.url = server.url("redis-pubsub")

    def send(self, events: Iterable[dict[str, Any]]) -> None:
        with self.server.client() as client:
            for each in events:
                client.publish(f"events:{each['type']}", json.dumps(each))
