"""NATS JetStream as a source: a durable consumer of the stream, with explicit acknowledgements."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from eventbook.bridges.reading import Arrival
from eventbook.bridges.targets.base import destination
from eventbook.bridges.targets.nats import CONFIRM_SECONDS, CONNECT_SECONDS, Connection
from eventbook.declare.bridges import Bridge

# After this time without an acknowledgement, a message comes again. A transaction takes less.
ACKNOWLEDGE_SECONDS = 15.0
SPARE_SECONDS = 5.0


class NatsSource:
    """The messages of a stream whose subjects are of the types that the bridge consumes.

    The consumer's name is the bridge's, so that it goes on where an earlier process ended.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._connection = Connection(bridge)
        self._consumer = f"commonplace-{bridge.name}"
        self._types = sorted(bridge.consume)
        self._context: JetStreamContext | None = None
        self._subscription: JetStreamContext.PullSubscription | None = None

    def fetch(self, limit: int, seconds: float) -> Sequence[Arrival]:
        """Return the next messages."""
        most = seconds + CONNECT_SECONDS + CONFIRM_SECONDS + SPARE_SECONDS
        found = self._connection.run(self._fetch(limit, seconds), seconds=most)
        return [
            Arrival(
                headers={name.lower(): text for name, text in (message.headers or {}).items()},
                body=message.data,
                receipt=message,
            )
            for message in found
        ]

    async def _fetch(self, limit: int, seconds: float) -> list[Msg]:
        subscription = await self._subscribed()
        try:
            return await subscription.fetch(limit, timeout=seconds)
        except TimeoutError:
            return []

    async def _subscribed(self) -> JetStreamContext.PullSubscription:
        """Return the subscription on the present connection; create the consumer, or update it."""
        jetstream = await self._connection.jetstream()
        if self._subscription is None or self._context is not jetstream:
            subjects = [destination(self._connection.subject, type) for type in self._types]
            config = ConsumerConfig(
                durable_name=self._consumer,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=ACKNOWLEDGE_SECONDS,
                deliver_policy=DeliverPolicy.ALL,
                filter_subjects=subjects,
            )
            await jetstream.add_consumer(self._connection.stream, config)
            self._subscription = await jetstream.pull_subscribe_bind(
                self._consumer, self._connection.stream
            )
            self._context = jetstream
        return self._subscription

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Acknowledge messages, and wait until the server knows."""
        work = self._acknowledge([arrival.receipt for arrival in arrivals])
        self._connection.run(work, seconds=CONFIRM_SECONDS)

    async def _acknowledge(self, messages: Sequence[Msg]) -> None:
        await asyncio.gather(*(message.ack_sync(timeout=CONFIRM_SECONDS) for message in messages))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
