"""kombu's Redis transport with three changes.

A worker survives a malformed message, sending takes half the time, since the Redis client is kept,
and one child of a worker stays free for interactive messages.
"""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from redis.exceptions import RedisError, ResponseError

from eventbook.observe.failures import class_and_place

logger = logging.getLogger(__name__)


class Unacknowledged(virtual.QoS):
    """The messages that a worker has accepted and not yet acknowledged or rejected.

    `bulk` has the delivery tags of bulk messages.
    """

    def __init__(self, channel: Channel, prefetch_count: int = 0) -> None:
        super().__init__(channel, prefetch_count)  # type: ignore[no-untyped-call]
        self.bulk: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        super().append(message, delivery_tag)  # type: ignore[no-untyped-call]
        if message.properties.get("priority", 0) > self.channel.priority_steps[0]:
            self.bulk.add(delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        self._ended(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        self._ended(delivery_tag)

    def _ended(self, delivery_tag: str) -> None:
        """Forget a bulk message that has ended; the channel may request bulk messages again."""
        if delivery_tag in self.bulk:
            self.bulk.discard(delivery_tag)
            self.channel.include_bulk()

    def may_accept_bulk(self) -> bool:
        """Return whether a child stays free if the worker accepts one more bulk message.

        A worker with one child accepts any message.
        """
        at_most = self.prefetch_count - 1  # the prefetch multiplier is 1: a message per child
        return at_most < 1 or len(self.bulk) < at_most


class Channel(redis.Channel):
    """A channel that drops malformed messages, which end the worker in kombu's channel.

    Messages are received by a blocking pop: a request that waits until a message comes.
    """

    _kept_client: Any = None
    # The broker's id of the receiving connection, while it waits for interactive messages only.
    _interactive_pop_id: int | None = None
    # False if the host forbids Redis's CLIENT commands: then bulk work may occupy all children.
    _keeps_one_free = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        if not self.ack_emulation:
            self.QoS = Unacknowledged  # type: ignore[assignment]

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Return the same client for all messages sent; kombu creates one for each message."""
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[no-untyped-call]
        return self._kept_client

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Request the next message; from the bulk lane only if a child process stays free."""
        steps, self._interactive_pop_id = self.priority_steps, None
        accepted = self.qos
        limits_bulk = self._keeps_one_free and isinstance(accepted, Unacknowledged)
        if limits_bulk and not accepted.may_accept_bulk():
            self._interactive_pop_id = self._connection_id()
        if self._interactive_pop_id is not None:
            self.priority_steps = steps[:1]
        try:
            super()._brpop_start(timeout)  # type: ignore[no-untyped-call]
        finally:
            self.priority_steps = steps

    def include_bulk(self) -> None:
        """End a blocking pop for interactive messages only; the next pop includes bulk messages."""
        id, self._interactive_pop_id = self._interactive_pop_id, None
        if id is None or not self._in_poll:
            return
        client = self._create_client()
        try:
            # If the first call reaches the broker before the pop, it ends nothing; the second does.
            _ = client.client_unblock(id) or client.client_unblock(id)
        except ResponseError:
            self._keeps_one_free = False
        except (RedisError, OSError):
            pass  # the pop ends by itself after a second

    def _connection_id(self) -> int | None:
        """Return the broker's id of the receiving connection; None if the host forbids CLIENT."""
        connection = self.client.connection
        try:
            connection.send_command("CLIENT", "ID")
            return int(connection.read_response())
        except ResponseError:
            self._keeps_one_free = False
            return None

    def _brpop_read(self, **options: Any) -> bool | None:
        """Read the reply to a blocking pop; log and drop a malformed message."""
        try:
            was_read: bool | None = super()._brpop_read(**options)  # type: ignore[no-untyped-call]
            return was_read
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The message has left the queue. If it was for a delivery, the relay publishes another.
            logger.error("broker.malformed_message", extra={"error": class_and_place(error)})
            return True


class Transport(redis.Transport):
    """kombu's Redis transport with the channel above."""

    Channel = Channel


class SentinelChannel(Channel, redis.SentinelChannel):
    """The channel to the master that sentinels name."""


class SentinelTransport(redis.SentinelTransport):
    """kombu's transport for sentinels with the channel above."""

    Channel = SentinelChannel


def install() -> None:
    """Make kombu use these transports for all Redis URLs."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"
