"""The relay's messages: each makes a worker run one handler on a chunk of deliveries.

The messages of one handler and lane differ in few fields. kombu and Celery build the first one as a
pattern, from which all later ones are written: for a single event, building a message from scratch
would be the relay's largest cost.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from celery import current_app

from eventbook.database.ids import new_id
from eventbook.declare.handlers import Handler, handlers
from eventbook.declare.queues import policy_of
from eventbook.deliveries.states import Pending

SMALLEST_CHUNK = 50
CONTENT_TYPE, CONTENT_ENCODING = "application/json", "utf-8"
PERSISTENT = {"delivery_mode": 2}


class Writer:
    """Write messages in the format in which a channel of kombu's virtual transport stores them."""

    def __init__(self, channel: Any) -> None:
        self.channel = channel
        # By handler and priority: a message, and the third part of its body (Celery's callbacks).
        self._patterns: dict[tuple[str, int], tuple[dict[str, Any], Any]] = {}

    def write(self, handler: Handler, chunk: Sequence[Pending], priority: int) -> bytes:
        """Return the encoded message that makes a worker run the handler on these deliveries.

        `priority` is kombu's (broker.MESSAGE_PRIORITIES).
        """
        key = handler.name, priority
        if key not in self._patterns:
            self._patterns[key] = self._pattern(handler, priority)
        pattern, callbacks = self._patterns[key]
        suspect = any(delivery.suspect for delivery in chunk)
        arguments = [
            [[delivery.id for delivery in chunk]],
            {"suspect": True} if suspect else {},
            callbacks,
        ]
        id = str(new_id())
        headers = {
            "id": id,
            "root_id": id,
            "argsrepr": describe(handler, chunk),
            "kwargsrepr": "suspect" if suspect else "",
        }
        message = pattern | {
            "body": b64encode(msgspec.json.encode(arguments)).decode(),
            "headers": pattern["headers"] | headers,
            "properties": pattern["properties"] | {"correlation_id": id, "delivery_tag": id},
        }
        return msgspec.json.encode(message)

    def _pattern(self, handler: Handler, priority: int) -> tuple[dict[str, Any], Any]:
        """Have kombu and Celery build a message without deliveries."""
        headers, properties, (*_, callbacks), _ = current_app.amqp.create_task_message(
            str(new_id()), handler.name, ignore_result=not handler.keep_result
        )
        message: dict[str, Any] = self.channel.prepare_message(
            b"", priority, CONTENT_TYPE, CONTENT_ENCODING, headers, properties | PERSISTENT
        )
        # kombu adds these fields to each message that a channel publishes.
        self.channel._inplace_augment_message(message, "", handler.queue)  # noqa: SLF001
        return message, callbacks


def chunks(pending: Sequence[Pending]) -> Iterator[tuple[str, Sequence[Pending]]]:
    """Yield the handler's name and the deliveries of each message, the most urgent queue first.

    Each isolated delivery gets a message of its own, before all others. The other deliveries of a
    handler are divided among the children of one worker process, in chunks of SMALLEST_CHUNK or
    more, up to the largest batch of the queue and the handler.
    """
    groups: dict[str, list[Pending]] = defaultdict(list)
    for delivery in pending:
        if delivery.isolated:
            yield delivery.handler, [delivery]
        else:
            groups[delivery.handler].append(delivery)
    for name in sorted(groups, key=lambda name: -policy_of(handlers[name].queue).priority):
        group, handler = groups[name], handlers[name]
        policy = policy_of(handler.queue)
        priority = group[0].priority
        share = math.ceil(len(group) / policy.concurrency_for(priority))
        largest = policy.largest_batch(priority)
        largest = min(largest, handler.batch_size or largest)
        size = min(max(share, SMALLEST_CHUNK), largest)
        for start in range(0, len(group), size):
            yield name, group[start : start + size]


def describe(handler: Handler, chunk: Sequence[Pending]) -> str:
    """Return the task's arguments as operators see them: event type, count, first event ids."""
    first = ", ".join(str(delivery.event_id) for delivery in chunk[:3])
    more = ", …" if len(chunk) > 3 else ""
    return f"{handler.event_name} × {len(chunk)} ({first}{more})"
