"""The relay's messages: each makes a worker run one handler on a chunk of deliveries.

The messages of one handler differ in few fields. Celery builds the first one as a template, from
which all others are made: for a single event, building a message from scratch would be the relay's
largest cost.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from celery import current_app

from eventbook.database.ids import new_id
from eventbook.declare.handlers import Handler, handlers
from eventbook.declare.queues import policy_of
from eventbook.deliveries.states import Pending

SMALLEST_CHUNK = 50
CONTENT_TYPE, CONTENT_ENCODING = "application/json", "utf-8"
PERSISTENT = {"delivery_mode": 2}


class TaskMessage(NamedTuple):
    """A message of Celery's task protocol: its JSON body, and AMQP's headers and properties."""

    id: str
    body: bytes
    headers: dict[str, Any]
    properties: dict[str, Any]


class Templates:
    """Make messages from templates, one for each handler."""

    def __init__(self) -> None:
        # By handler: a message, and the third part of its body (Celery's callbacks).
        self._templates: dict[str, tuple[TaskMessage, Any]] = {}

    def message(self, handler: Handler, chunk: Sequence[Pending]) -> TaskMessage:
        """Return the message that makes a worker run the handler on these deliveries."""
        if handler.name not in self._templates:
            self._templates[handler.name] = template(handler)
        template_, callbacks = self._templates[handler.name]
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
        return TaskMessage(
            id,
            msgspec.json.encode(arguments),
            template_.headers | headers,
            template_.properties | {"correlation_id": id},
        )


def template(handler: Handler) -> tuple[TaskMessage, Any]:
    """Have Celery build a message without deliveries; return it, and its body's callbacks."""
    id = str(new_id())
    headers, properties, (*_, callbacks), _ = current_app.amqp.create_task_message(
        id, handler.name, ignore_result=not handler.keep_result
    )
    return TaskMessage(id, b"", headers, properties | PERSISTENT), callbacks


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
