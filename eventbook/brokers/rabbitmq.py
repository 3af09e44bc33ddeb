"""RabbitMQ as the broker: a quorum queue for each lane, and publisher confirms."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from amqp import AMQPError, Message
from celery import current_app
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from eventbook.brokers.broker import REPLY_SECONDS, BrokerDown, Lane, Weakness
from eventbook.brokers.lanes import BULK_SUFFIX
from eventbook.brokers.messages import CONTENT_ENCODING, CONTENT_TYPE, Templates, chunks
from eventbook.declare.handlers import handlers
from eventbook.deliveries.states import Pending
from eventbook.models import Priority


class RabbitMQ:
    """A connection to RabbitMQ."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._channel: Any = None
        self._templates = Templates()
        self._published = 0  # messages of this channel, which are the numbers in its confirms
        self._unconfirmed: set[int] = set()

    def depths(self, queues: Sequence[str]) -> dict[Lane, int]:
        lanes = [(queue, priority) for queue in queues for priority in Priority]
        with self._failures():
            channel = self._open()
            return {lane: declare(channel, name_of_lane(lane)) for lane in lanes}

    def publish(self, pending: Sequence[Pending], *, priority: Priority) -> Counter[str]:
        # All messages are sent before the first confirm is awaited.
        sent: Counter[str] = Counter()
        with self._failures():
            channel = self._open()
            for name, chunk in chunks(pending):
                handler = handlers[name]
                message = self._templates.message(handler, chunk)
                self._published += 1
                self._unconfirmed.add(self._published)
                channel.basic_publish(
                    Message(
                        message.body,
                        content_type=CONTENT_TYPE,
                        content_encoding=CONTENT_ENCODING,
                        application_headers=message.headers,
                        **message.properties,
                    ),
                    routing_key=name_of_lane((handler.queue, priority)),
                    mandatory=True,
                )
                sent[handler.queue] += 1
            self._await_confirms()
        return sent

    def weaknesses(self) -> Iterator[Weakness]:
        # Quorum queues keep their messages on disk, whatever the server's settings.
        yield from ()

    def close(self) -> None:
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            connection.release()

    def _open(self) -> Any:
        """Return the channel, opened on first use."""
        if self._channel is None:
            timeouts = dict.fromkeys(
                ("connect_timeout", "read_timeout", "write_timeout"), REPLY_SECONDS
            )
            # No heartbeats: the relay calls the server often, and nobody would send them.
            self._connection = current_app.connection_for_write(
                heartbeat=0, transport_options={**timeouts, "confirm_publish": False}
            )
            channel: Any = self._connection.default_channel
            channel.confirm_select()
            channel.events["basic_ack"].add(self._confirmed)
            channel.events["basic_nack"].add(self._refused)
            channel.events["basic_return"].add(self._returned)
            for name in current_app.amqp.queues:
                declare(channel, name)
            self._channel, self._published, self._unconfirmed = channel, 0, set()
        return self._channel

    def _confirmed(self, number: int, multiple: bool) -> None:
        """Note that the server has stored a message, or all up to this one."""
        if multiple:
            self._unconfirmed = {each for each in self._unconfirmed if each > number}
        else:
            self._unconfirmed.discard(number)

    def _refused(self, number: int, multiple: bool) -> None:
        """Raise BrokerDown: the server could not store a message."""
        raise BrokerDown("RabbitMQ could not store a message.")

    def _returned(self, error: Exception, *_: object) -> None:
        """Raise BrokerDown: somebody has deleted the queue of a message."""
        raise BrokerDown(f"RabbitMQ returned a message: {error}")

    def _await_confirms(self) -> None:
        """Wait until all messages are confirmed; raise TimeoutError after REPLY_SECONDS."""
        deadline = time.monotonic() + REPLY_SECONDS
        while self._unconfirmed:
            self._connection.drain_events(timeout=max(deadline - time.monotonic(), 0.001))  # type: ignore[union-attr]

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Close the connection if a call fails, and raise BrokerDown."""
        try:
            yield
        except BrokerDown:
            self.close()
            raise
        except (OSError, AMQPError, OperationalError) as error:
            self.close()
            raise BrokerDown(f"{type(error).__name__}: {error}") from error


def declare(channel: Any, name: str) -> int:
    """Create the queue of a lane unless it exists, and return its number of messages."""
    arguments = current_app.amqp.queues[name].queue_arguments
    declared = channel.queue_declare(name, durable=True, auto_delete=False, arguments=arguments)
    return int(declared.message_count)


def name_of_lane(lane: Lane) -> str:
    """Return the name of a lane's queue in RabbitMQ."""
    queue, priority = lane
    return queue + BULK_SUFFIX if priority == Priority.BULK else queue
