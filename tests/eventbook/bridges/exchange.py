"""Another system's queue on the exchange `domain_events` of a RabbitMQ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import amqp

from stack.rabbitmq import RabbitMQ

QUEUE = "another-system"


class Exchange:
    """The exchange, and a durable queue that gets all events; the server may be restarted."""

    def __init__(self, server: RabbitMQ) -> None:
        self.server = server

    @property
    def url(self) -> str:
        """The address for a bridge."""
        return self.server.url

    @contextmanager
    def channel(self) -> Iterator[amqp.Channel]:
        with amqp.Connection(host=f"127.0.0.1:{self.server.port}") as connection:
            yield connection.channel()

    def bind(self) -> None:
        """Create the queue."""
        with self.channel() as channel:
            channel.exchange_declare("domain_events", "topic", durable=True, auto_delete=False)
            channel.queue_declare(QUEUE, durable=True, auto_delete=False)
            channel.queue_bind(QUEUE, "domain_events", "commonplace.#")

    def delete(self) -> None:
        """Delete the queue."""
        with self.channel() as channel:
            channel.queue_delete(QUEUE)

    def messages(self) -> list[amqp.Message]:
        """Remove all messages from the queue, and return them in its order."""
        found = []
        with self.channel() as channel:
            while (message := channel.basic_get(QUEUE, no_ack=True)) is not None:
                found.append(message)
        return found

    def events(self) -> list[dict[str, Any]]:
        """Remove all events from the queue, and return them in its order."""
        return [json.loads(message.body) for message in self.messages()]
