"""Redis or Valkey: Streams, at least once and in order; and Pub/Sub, at most once.

The URL is that of Redis with another scheme: `redis-streams://:password@host:6379/0`, or
`redis-pubsub://…` (`rediss-streams`, `rediss-pubsub` for TLS).

Pub/Sub keeps nothing: a subscriber that is not connected at the moment of the publication never
gets the event. And Redis confirms what its `appendfsync` has not flushed yet.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from redis import Redis
from redis.backoff import NoBackoff
from redis.client import Pipeline
from redis.exceptions import RedisError
from redis.retry import Retry

from eventbook.bridges.envelope import Message
from eventbook.bridges.targets.base import TargetDown, destination, parameter
from eventbook.declare.bridges import Bridge

STREAM = "events"
CHANNEL = "events:{type}"
# A stream is trimmed to about this many events: without a limit, it would fill Redis's memory.
MAX_LENGTH = 1_000_000
CONNECT_SECONDS = 3.0
REPLY_SECONDS = 10.0


def client_of(bridge: Bridge) -> Redis:
    """Return a client for a bridge's URL, which connects on first use and repeats no command.

    The client's own repetition of a command would publish an event twice.
    """
    parts = urlsplit(bridge.url)
    scheme = parts.scheme.partition("-")[0]
    client: Redis = Redis.from_url(
        urlunsplit((scheme, parts.netloc, parts.path, "", "")),
        socket_timeout=REPLY_SECONDS,
        socket_connect_timeout=CONNECT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        client_name=f"commonplace-{bridge.name}",
    )
    return client


class RedisTarget(ABC):
    """A Redis to which each event is sent by one command; the reply is the confirmation."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self._redis = client_of(bridge)

    @abstractmethod
    def add(self, pipeline: Pipeline, message: Message) -> None:
        """Add the command that publishes a message to a pipeline."""

    def publish(self, messages: Sequence[Message]) -> Mapping[UUID, str]:
        """Send all commands at once, and wait for the replies."""
        try:
            with self._redis.pipeline(transaction=False) as pipeline:
                for message in messages:
                    self.add(pipeline, message)
                replies = pipeline.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            raise self._failed(error) from error
        failed = [reply for reply in replies if isinstance(reply, Exception)]
        if failed:
            pairs = zip(messages, replies, strict=True)
            confirmed = {m.id for m, reply in pairs if not isinstance(reply, Exception)}
            raise TargetDown(f"Redis: {type(failed[0]).__name__}", confirmed)
        return {}

    def idle(self) -> None:
        """Raise TargetDown if Redis does not respond."""
        try:
            self._redis.ping()
        except (RedisError, OSError) as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _failed(self, error: Exception) -> TargetDown:
        self._redis.connection_pool.disconnect()
        return TargetDown(f"Redis: {type(error).__name__}")


class StreamsTarget(RedisTarget):
    """A stream to which events are appended: all types in one, so that a consumer has their order.

    Each entry has the fields `id`, `type` and `event`, the CloudEvent as JSON.
    """

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(bridge)
        self._length = int(parameter(urlsplit(bridge.url), "maxlen", str(MAX_LENGTH)))

    def add(self, pipeline: Pipeline, message: Message) -> None:
        """Add the command that appends a message."""
        key = destination(self.bridge.subject or STREAM, message.type)
        fields = {"id": str(message.id), "type": message.type, "event": message.structured}
        pipeline.xadd(key, fields, maxlen=self._length, approximate=True)  # type: ignore[arg-type]


class PubSubTarget(RedisTarget):
    """Channels on which events are published."""

    def add(self, pipeline: Pipeline, message: Message) -> None:
        """Add the command that publishes a message to the present subscribers."""
        channel = destination(self.bridge.subject or CHANNEL, message.type)
        pipeline.publish(channel, message.structured)
