"""RabbitMQ: a durable topic exchange, with publisher confirms: at least once, in order.

The URL is `amqp://user:password@host:5672/vhost` (`amqps://` for TLS); `?exchange=` names another
exchange than `domain_events`. An exchange keeps nothing: it passes an event to the queues that are
bound at that moment.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import unquote, urlsplit
from uuid import UUID

import amqp

from eventbook.bridges.envelope import STRUCTURED, Message
from eventbook.bridges.targets.base import TargetDown, destination, parameter
from eventbook.declare.bridges import Bridge

EXCHANGE = "domain_events"
ROUTING_KEY = "{type}"
PORTS = {"amqp": 5672, "amqps": 5671}
CONNECT_SECONDS = 3.0
CONFIRM_SECONDS = 10.0
HEARTBEAT_SECONDS = 30
READ_SECONDS = 0.01  # how long an idle bridge waits for frames of the server
# RabbitMQ's default limit. It closes the channel for a larger message, without naming it.
MAX_BYTES = 16 * 2**20
PERSISTENT = 2
# What the client raises when the connection fails; OSError includes a timeout.
FAILURES = (amqp.AMQPError, OSError)


class Connection:
    """A connection with one channel, opened on first use; `drop` it after an error."""

    def __init__(self, bridge: Bridge) -> None:
        self._url = urlsplit(bridge.url)
        self.exchange = parameter(self._url, "exchange", EXCHANGE)
        self.routing_key = bridge.subject or ROUTING_KEY
        self._connection: amqp.Connection | None = None
        self._channel: amqp.Channel | None = None

    def channel(self) -> amqp.Channel:
        """Return the channel; open it, and declare the exchange, if there is none."""
        if self._channel is None:
            port = self._url.port or PORTS[self._url.scheme]
            self._connection = amqp.Connection(
                host=f"{self._url.hostname}:{port}",
                userid=unquote(self._url.username or "guest"),
                password=unquote(self._url.password or "guest"),
                virtual_host=unquote(self._url.path[1:]) or "/",
                # Without the name, a trusted certificate of any other host would do.
                ssl=self._url.scheme == "amqps" and {"server_hostname": self._url.hostname},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=CONFIRM_SECONDS,
                write_timeout=CONFIRM_SECONDS,
                heartbeat=HEARTBEAT_SECONDS,
            )
            self._connection.connect()
            channel = self._connection.channel()
            channel.exchange_declare(self.exchange, "topic", durable=True, auto_delete=False)
            self._channel = channel
        return self._channel

    def read(self, seconds: float) -> None:
        """Read frames of the server, or none within `seconds`; send heartbeats that are due."""
        if self._connection is not None:
            with suppress(TimeoutError):
                self._connection.drain_events(timeout=seconds)
            self._connection.heartbeat_tick()

    def drop(self) -> None:
        """Close the connection without waiting for the server; the next use opens another one."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(*FAILURES):
                connection.collect()

    def failed(self, error: BaseException, confirmed: set[UUID]) -> TargetDown:
        """Drop the connection, and return the error to raise."""
        self.drop()
        code = getattr(error, "reply_code", None)
        return TargetDown(
            f"RabbitMQ: {type(error).__name__}{f' {code}' if code else ''}", confirmed
        )


class RabbitTarget:
    """A topic exchange to which events are published."""

    def __init__(self, bridge: Bridge) -> None:
        self._connection = Connection(bridge)
        self._published = 0  # on the present channel: the tag of the last message
        self._unconfirmed: dict[int, UUID] = {}
        self._rejected: set[UUID] = set()
        self._confirming: amqp.Channel | None = None

    def publish(self, messages: Sequence[Message]) -> Mapping[UUID, str]:
        """Publish messages at once, and wait until RabbitMQ has confirmed each."""
        refused = {
            message.id: "It is larger than 16 MiB."
            for message in messages
            if len(message.structured) > MAX_BYTES
        }
        accepted = [message for message in messages if message.id not in refused]
        self._unconfirmed, self._rejected = {}, set()
        unsent = {message.id for message in accepted}
        try:
            channel = self._channel()
            for message in accepted:
                self._send(channel, message)
                unsent.discard(message.id)
            self._await_confirms()
        except FAILURES as error:
            missing = {*unsent, *self._unconfirmed.values(), *self._rejected}
            confirmed = {message.id for message in accepted} - missing
            raise self._connection.failed(error, confirmed) from error
        return refused

    def _channel(self) -> amqp.Channel:
        """Return the channel, in confirm mode."""
        channel = self._connection.channel()
        if channel is not self._confirming:
            channel.confirm_select()
            channel.events["basic_ack"].add(self._confirm)
            channel.events["basic_nack"].add(self._reject)
            self._confirming, self._published = channel, 0
        return channel

    def _send(self, channel: amqp.Channel, message: Message) -> None:
        self._published += 1
        self._unconfirmed[self._published] = message.id
        content = amqp.Message(
            message.structured,
            content_type=STRUCTURED,
            delivery_mode=PERSISTENT,
            message_id=str(message.id),
            type=message.type,
        )
        key = destination(self._connection.routing_key, message.type)
        channel.basic_publish(content, self._connection.exchange, key)

    def _await_confirms(self) -> None:
        """Read until all messages are confirmed; raise OSError if one is rejected or time is up."""
        deadline = time.monotonic() + CONFIRM_SECONDS
        while self._unconfirmed:
            if time.monotonic() > deadline:
                raise TimeoutError
            self._connection.read(deadline - time.monotonic())
        if self._rejected:
            raise ConnectionRefusedError

    def _confirm(self, tag: int, multiple: bool) -> None:
        """Note the confirmation of one message, or of all up to it."""
        for each in self._up_to(tag, multiple):
            del self._unconfirmed[each]

    def _reject(self, tag: int, multiple: bool) -> None:
        """Note that RabbitMQ could not store messages, for example because a disk is full."""
        for each in self._up_to(tag, multiple):
            self._rejected.add(self._unconfirmed.pop(each))

    def _up_to(self, tag: int, multiple: bool) -> list[int]:
        return [each for each in self._unconfirmed if each == tag or (multiple and each < tag)]

    def idle(self) -> None:
        """Send heartbeats; raise TargetDown if there is no connection."""
        try:
            self._channel()
            self._connection.read(READ_SECONDS)
        except FAILURES as error:
            raise self._connection.failed(error, set()) from error

    def close(self) -> None:
        """Close the connection."""
        self._connection.drop()
