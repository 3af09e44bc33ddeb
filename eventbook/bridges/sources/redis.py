"""Redis as a source: a consumer group of a stream; and Pub/Sub, at most once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from redis.client import PubSub
from redis.exceptions import RedisError, ResponseError

from eventbook.bridges.envelope import STRUCTURED
from eventbook.bridges.reading import Arrival
from eventbook.bridges.targets.base import TargetDown, destination
from eventbook.bridges.targets.redis import CHANNEL, STREAM, client_of
from eventbook.declare.bridges import Bridge

HEADERS = {"content-type": STRUCTURED}
FAILURES = (RedisError, OSError)
NEW, UNACKNOWLEDGED = ">", "0"


class StreamsSource:
    """The entries of a stream that the group `commonplace-NAME` has not acknowledged.

    The event is in the field `event`, as JSON. For each consumer name, Redis keeps the entries that
    were read and not acknowledged. All processes use one name, so that a new process begins with
    those of an earlier one.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._redis = client_of(bridge)
        self._stream = bridge.subject or STREAM
        self._group = f"commonplace-{bridge.name}"
        self._has_group = False
        self._from = UNACKNOWLEDGED
        self._is_acknowledged = True  # what was read last

    def fetch(self, limit: int, seconds: float) -> Sequence[Arrival]:
        """Return the next entries: first those that were read and not acknowledged."""
        if not self._is_acknowledged:
            self._from = UNACKNOWLEDGED
        try:
            self._require_group()
            found = self._read(limit, seconds)
            self._is_acknowledged = not found
            if not found and self._from == UNACKNOWLEDGED:
                self._from = NEW
            return found
        except FAILURES as error:
            raise self._failed(error) from error

    def _require_group(self) -> None:
        """Create the group, from the beginning of the stream, if there is none."""
        if not self._has_group:
            with suppress(ResponseError):  # there is one
                self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
            self._has_group = True

    def _read(self, limit: int, seconds: float) -> list[Arrival]:
        streams: Any = {self._stream: self._from}
        block = int(1000 * seconds) if self._from == NEW else None
        reply: Any = self._redis.xreadgroup(
            self._group, "commonplace", streams, count=limit, block=block
        )
        rows = [row for _, entries in (reply or []) for row in entries]
        # An entry that was trimmed before it was acknowledged has no fields.
        return [Arrival(HEADERS, (fields or {}).get(b"event", b""), id) for id, fields in rows]

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Acknowledge entries."""
        try:
            self._redis.xack(self._stream, self._group, *(each.receipt for each in arrivals))
            self._is_acknowledged = True
        except FAILURES as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Close the connection."""
        self._redis.close()

    def _failed(self, error: Exception) -> TargetDown:
        """Begin anew after an error: the stream may have been deleted, or an entry be unread."""
        self._redis.connection_pool.disconnect()
        self._has_group, self._from = False, UNACKNOWLEDGED
        return TargetDown(f"Redis: {type(error).__name__}")


class PubSubSource:
    """The messages on the channels of the types that the bridge consumes.

    What is published while no process is connected is lost. What was received and not acknowledged
    is kept in memory.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._redis = client_of(bridge)
        self._channels = [destination(bridge.subject or CHANNEL, type) for type in bridge.consume]
        self._subscription: PubSub | None = None
        self._received: list[Arrival] = []

    def fetch(self, limit: int, seconds: float) -> Sequence[Arrival]:
        """Return the next messages."""
        found = self._received
        if found:
            return found
        deadline = time.monotonic() + seconds
        try:
            if self._subscription is None:
                self._subscription = PubSub(
                    self._redis.connection_pool, ignore_subscribe_messages=True
                )
                self._subscription.subscribe(*self._channels)
            while len(found) < limit and time.monotonic() < deadline:
                wait = 0.0 if found else max(deadline - time.monotonic(), 0.001)
                message: Any = self._subscription.get_message(timeout=wait)
                if message is not None:
                    found.append(Arrival(HEADERS, message["data"]))
                elif found:
                    break
        except FAILURES as error:
            if not found:
                raise self._failed(error) from error
        return found

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Forget the messages; Redis keeps none."""
        self._received = []

    def close(self) -> None:
        """Close the connection."""
        if self._subscription is not None:
            self._subscription.close()
        self._redis.close()

    def _failed(self, error: Exception) -> TargetDown:
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
        self._redis.connection_pool.disconnect()
        return TargetDown(f"Redis: {type(error).__name__}")
