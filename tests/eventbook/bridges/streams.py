"""Read back what bridges published to NATS."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import nats

from tests.harness.nats_server import NatsServer


def stored(server: NatsServer) -> list[dict[str, Any]]:
    """Return all events in the stream, in its order; an empty list if there is no stream yet."""
    return asyncio.run(_stored(server))


async def _stored(server: NatsServer) -> list[dict[str, Any]]:
    client = await nats.connect(server.url.rpartition("/")[0], allow_reconnect=False)
    try:
        jetstream = client.jetstream()
        try:
            count = (await jetstream.stream_info("EVENTS")).state.messages
        except nats.js.errors.NotFoundError:
            return []
        if not count:
            return []
        reading = await jetstream.subscribe("events.>", ordered_consumer=True)
        found = [await reading.next_msg(timeout=10) for _ in range(count)]
        return [json.loads(message.data) for message in found]
    finally:
        await client.close()
