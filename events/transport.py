"""kombu's Redis transport, for workers that outlive whatever anybody puts into their queue.

And for a relay that sends a message in half the time, and a child that is free for what is urgent.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from events.failures import told


@contextmanager
def _as_if_missing(package: str) -> Iterator[None]:
    missing: Any = None
    if package in sys.modules:
        yield
        return
    sys.modules[package] = missing
    try:
        yield
    finally:
        del sys.modules[package]


# redis-py loads OpenTelemetry's metrics wherever it finds them, for a use that nobody makes here:
# 60 modules and 2 MB in every process, though traces are off.
with _as_if_missing("opentelemetry"):
    from kombu.transport import TRANSPORT_ALIASES, redis, virtual
    from redis.exceptions import RedisError, ResponseError

logger = logging.getLogger(__name__)


class InHand(virtual.QoS):
    """The messages that a worker has taken and not ended."""

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
        if delivery_tag in self.bulk:
            self.bulk.discard(delivery_tag)
            self.channel.ask_anew()

    def takes_bulk(self) -> bool:
        """Return whether a child stays free if one more message of bulk work is taken.

        A worker of one child takes whatever comes.
        """
        at_most = self.prefetch_count - 1
        return at_most < 1 or len(self.bulk) < at_most


class Channel(redis.Channel):
    """A channel that drops what is no message; kombu's lets it end the worker."""

    _kept_client: Any = None
    # While it asks for urgent messages alone: by what number the broker knows who asks.
    _asking_urgently: int | None = None
    # There are hosts of Redis that know no such numbers: there, bulk work may have all children.
    _keeps_one_free = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)  # type: ignore[no-untyped-call]
        if not self.ack_emulation:
            self.QoS = InHand  # type: ignore[assignment]

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Return one client for all that is sent: kombu makes one for each message."""
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[no-untyped-call]
        return self._kept_client

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Ask for the next message: for one of bulk work only while a child stays free."""
        steps, self._asking_urgently = self.priority_steps, None
        held = self.qos
        if self._keeps_one_free and isinstance(held, InHand) and not held.takes_bulk():
            self._asking_urgently = self._number_of_who_asks()
        if self._asking_urgently is not None:
            self.priority_steps = steps[:1]
        try:
            super()._brpop_start(timeout)  # type: ignore[no-untyped-call]
        finally:
            self.priority_steps = steps

    def ask_anew(self) -> None:
        """End a question for urgent messages alone; the next one is for all there are."""
        number, self._asking_urgently = self._asking_urgently, None
        if number is None or not self._in_poll:
            return
        client = self._create_client()
        try:
            # Again, if the broker read this before the question: now it has read both.
            _ = client.client_unblock(number) or client.client_unblock(number)
        except ResponseError:
            self._keeps_one_free = False
        except (RedisError, OSError):
            pass  # the question ends by itself, after a second

    def _number_of_who_asks(self) -> int | None:
        connection = self.client.connection
        try:
            connection.send_command("CLIENT", "ID")
            return int(connection.read_response())
        except ResponseError:
            self._keeps_one_free = False
            return None

    def _brpop_read(self, **options: Any) -> bool | None:
        try:
            answer: bool | None = super()._brpop_read(**options)  # type: ignore[no-untyped-call]
            return answer
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # It is gone from the queue. If it stood for a delivery, the relay publishes it again.
            logger.error("broker.malformed_message", extra={"error": told(error)})
            return True


class Transport(redis.Transport):
    """The Redis transport with that channel."""

    Channel = Channel


def install() -> None:
    """Put it in place of kombu's, for all URLs of Redis."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
