"""RabbitMQ as a source: a durable queue of the bridge, bound to the exchange for each type."""

from __future__ import annotations

import time
from collections.abc import Sequence

import amqp

from eventbook.bridges.reading import Arrival
from eventbook.bridges.targets.base import destination
from eventbook.bridges.targets.rabbitmq import FAILURES, Connection
from eventbook.declare.bridges import Bridge


class RabbitSource:
    """The messages of the queue `commonplace-NAME`; it keeps them while no process runs."""

    def __init__(self, bridge: Bridge) -> None:
        self._connection = Connection(bridge)
        self._queue = f"commonplace-{bridge.name}"
        self._types = sorted(bridge.consume)
        self._consuming: amqp.Channel | None = None
        self._arrived: list[amqp.Message] = []

    def fetch(self, limit: int, seconds: float) -> Sequence[Arrival]:
        """Return the next messages."""
        try:
            self._consume(limit)
            deadline = time.monotonic() + seconds
            while not self._arrived and time.monotonic() < deadline:
                self._connection.read(max(deadline - time.monotonic(), 0.001))
            return [_arrival(message) for message in self._arrived[:limit]]
        except FAILURES as error:
            raise self._connection.failed(error, set()) from error

    def _consume(self, limit: int) -> None:
        """Begin to consume on the present channel: at most `limit` messages unacknowledged."""
        channel = self._connection.channel()
        if channel is self._consuming:
            return
        self._arrived = []  # the server sends the earlier channel's messages again
        channel.queue_declare(self._queue, durable=True, auto_delete=False)
        for type in self._types:
            key = destination(self._connection.routing_key, type)
            channel.queue_bind(self._queue, self._connection.exchange, key)
        channel.basic_qos(0, limit, False)
        channel.basic_consume(self._queue, callback=self._arrived.append)
        self._consuming = channel

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Acknowledge messages: all up to the last one, since they came in this order."""
        try:
            self._connection.channel().basic_ack(arrivals[-1].receipt, multiple=True)
            del self._arrived[: len(arrivals)]
        except FAILURES as error:
            raise self._connection.failed(error, set()) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.drop()


def _arrival(message: amqp.Message) -> Arrival:
    """Return a message with its content type and headers as text."""
    properties = message.properties
    headers = {
        name.lower(): str(value)
        for name, value in (properties.get("application_headers") or {}).items()
    }
    headers["content-type"] = properties.get("content_type", "")
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode()
    return Arrival(headers, body, message.delivery_info["delivery_tag"])
