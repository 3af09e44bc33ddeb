"""Redis or Valkey as the broker, in the format of kombu's transport."""

from __future__ import annotations

from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
from celery import current_app
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError, ResponseError

from eventbook.brokers.broker import REPLY_SECONDS, BrokerDown, Lane, Weakness
from eventbook.brokers.messages import (
    CONTENT_ENCODING,
    CONTENT_TYPE,
    PERSISTENT,
    TaskMessage,
    Templates,
    chunks,
)
from eventbook.declare.handlers import handlers
from eventbook.deliveries.states import Pending
from eventbook.models import Priority

# The priority of a lane's messages for kombu, which splits a queue into one list per step of its
# setting `priority_steps`, and reads the lowest step first.
MESSAGE_PRIORITIES = {Priority.INTERACTIVE: 0, Priority.BULK: 9}
CLUSTER = (
    "This is a Redis Cluster. A worker waits for several lists at once, which a cluster allows only"
    " if one node has them all: use a single Valkey or Redis, or RabbitMQ."
)
FULL = 0.8  # of the memory that Redis may use


class Redis:
    """A connection to Redis."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._templates = Templates()
        self._envelopes: dict[Lane, dict[str, Any]] = {}

    def depths(self, queues: Sequence[str]) -> dict[Lane, int]:
        lanes = [(queue, priority) for queue in queues for priority in Priority]
        with self._channel() as channel, channel.client.pipeline(transaction=False) as pipe:
            for lane in lanes:
                pipe.llen(key_of(channel, lane))
            return dict(zip(lanes, pipe.execute(), strict=True))

    def publish(self, pending: Sequence[Pending], *, priority: Priority) -> Counter[str]:
        # All messages go in one round trip.
        sent: Counter[str] = Counter()
        with self._channel() as channel, channel.client.pipeline(transaction=False) as pipe:
            for name, chunk in chunks(pending):
                lane = handlers[name].queue, priority
                if lane not in self._envelopes:
                    self._envelopes[lane] = envelope(channel, lane)
                message = self._templates.message(handlers[name], chunk)
                pipe.lpush(key_of(channel, lane), enclosed(message, self._envelopes[lane]))
                sent[lane[0]] += 1
            pipe.execute()
        return sent

    def weaknesses(self) -> Iterator[Weakness]:
        try:
            with self._channel() as channel:
                info = {**channel.client.info("memory"), **channel.client.info("persistence")}
        except ResponseError:  # the host forbids INFO
            return
        if (policy := info.get("maxmemory_policy", "noeviction")) != "noeviction":
            yield Weakness(
                "eviction",
                f"maxmemory-policy is {policy}: waiting messages may be dropped",
                "`valkey-cli config set maxmemory-policy noeviction`, and in its config file too.",
            )
        if not info.get("aof_enabled", 1):
            yield Weakness(
                "persistence",
                "appendonly is off: a restart loses the waiting messages",
                "`valkey-cli config set appendonly yes`, and in its config file too.",
            )
        used, allowed = info.get("used_memory", 0), info.get("maxmemory", 0)
        if allowed and used > FULL * allowed:
            yield Weakness(
                "memory",
                f"{used // 2**20} of {allowed // 2**20} MiB in use",
                "Raise maxmemory: when it is full, nothing can be published.",
            )

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _open(self) -> Connection:
        """Return a new connection; raise BrokerDown if the server is a node of a cluster."""
        # No retries by kombu: the relay retries once a second, which is sooner.
        connection: Connection = current_app.connection_for_write(
            transport_options={"max_retries": 0, "socket_timeout": REPLY_SECONDS}
        )
        channel: Any = connection.default_channel
        if is_cluster(channel.client):
            connection.release()
            raise BrokerDown(CLUSTER)
        return connection

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        """Yield the connection's channel, opened on first use; raise BrokerDown if it fails."""
        try:
            if self._connection is None:
                self._connection = self._open()
            yield self._connection.default_channel
        except ResponseError:
            raise
        except (OSError, RedisError, OperationalError) as error:
            self.close()
            raise BrokerDown(f"{type(error).__name__}: {error}") from error


def is_cluster(client: Any) -> bool:
    """Return whether the server is a node of a cluster; False if its host forbids INFO."""
    with suppress(ResponseError):
        return bool(client.info("cluster").get("cluster_enabled"))
    return False


def key_of(channel: Any, lane: Lane) -> str:
    """Return the key of a lane's list."""
    # Only this private method of kombu knows it.
    key: str = channel._q_for_pri(lane[0], MESSAGE_PRIORITIES[lane[1]])  # noqa: SLF001
    return key


def envelope(channel: Any, lane: Lane) -> dict[str, Any]:
    """Have kombu build what encloses a lane's messages."""
    message: dict[str, Any] = channel.prepare_message(
        b"", MESSAGE_PRIORITIES[lane[1]], CONTENT_TYPE, CONTENT_ENCODING, {}, dict(PERSISTENT)
    )
    # kombu adds these fields to each message that a channel publishes.
    channel._inplace_augment_message(message, "", lane[0])  # noqa: SLF001
    return message


def enclosed(message: TaskMessage, envelope: dict[str, Any]) -> bytes:
    """Return a message as kombu stores it."""
    properties = envelope["properties"] | message.properties | {"delivery_tag": message.id}
    return msgspec.json.encode(
        envelope
        | {
            "body": b64encode(message.body).decode(),
            "headers": message.headers,
            "properties": properties,
        }
    )
