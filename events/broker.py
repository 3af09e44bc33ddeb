"""The broker as the relay sees it: how long its queues are, and a way to put messages there."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from celery import current_app
from celery.utils import uuid
from kombu.connection import Connection
from kombu.exceptions import BatchPublishError, OperationalError
from kombu.messaging import Producer
from redis.exceptions import RedisError, ResponseError

from events.deliveries import Pending
from events.models import Priority
from events.queues import policy_of
from events.registry import Handler, handlers

# On Redis, kombu keeps one list for each step of `priority_steps`, and serves the lowest first.
LANES = {Priority.INTERACTIVE: 0, Priority.BULK: 9}
SMALLEST_CHUNK = 50
REPLY_SECONDS = 5  # of the broker, to one call


class BrokerDown(Exception):
    """The broker can't be reached; everything waits in PostgreSQL until it can."""


class Broker:
    """One process's connection to the broker; every call is bounded, and raises BrokerDown."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def depths(self, queues: Sequence[str]) -> dict[tuple[str, Priority], int]:
        """This answers how many messages wait in each lane of each queue."""
        try:
            channel: Any = self._connect().default_channel
            lanes = [(queue, lane) for queue in queues for lane in Priority]
            with channel.client.pipeline(transaction=False) as pipe:
                for queue, lane in lanes:
                    # The one name of a lane's list is kombu's own.
                    pipe.llen(channel._q_for_pri(queue, LANES[lane]))  # noqa: SLF001
                return dict(zip(lanes, pipe.execute(), strict=True))
        except (OSError, RedisError, OperationalError) as error:
            raise self._down(error) from error

    def info(self) -> dict[str, Any]:
        """This answers what the broker tells of its memory and of what it keeps on disk."""
        try:
            channel: Any = self._connect().default_channel
            return {**channel.client.info("memory"), **channel.client.info("persistence")}
        except ResponseError:
            return {}  # there are hosts of Redis that don't tell
        except (OSError, RedisError, OperationalError) as error:
            raise self._down(error) from error

    def publish(self, pending: Sequence[Pending], *, priority: Priority) -> Counter[str]:
        """This puts deliveries into their handlers' queues, in chunks; it counts them by queue.

        All go in one round trip, those of the most urgent queue first.
        """
        try:
            sent: Counter[str] = Counter()
            producer = self._connect_producer()
            with producer.batch():
                for name, chunk in chunks(pending):
                    self._send(producer, handlers[name], chunk, LANES[priority])
                    sent[handlers[name].queue] += 1
        except (OSError, RedisError, OperationalError, BatchPublishError) as error:
            raise self._down(error) from error
        return sent

    def _send(
        self, producer: Producer, handler: Handler, chunk: Sequence[Pending], lane: int
    ) -> None:
        suspect = any(delivery.suspect for delivery in chunk)
        # What `apply_async` does, without what it looks up and copies anew for each message.
        headers, properties, body, _ = current_app.amqp.create_task_message(
            uuid(),
            handler.task.name,
            ([delivery.id for delivery in chunk],),
            {"suspect": True} if suspect else {},
            ignore_result=handler.task.ignore_result,
            argsrepr=describe(handler, chunk),
            kwargsrepr="suspect" if suspect else "",
        )
        producer.publish(
            body, routing_key=handler.queue, headers=headers, priority=lane, serializer="json",
            **properties,
        )  # fmt: skip

    def close(self) -> None:
        """This closes the connection; the next call opens a new one."""
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()

    def _connect(self) -> Connection:
        if self._connection is None:
            # Our caller tries again by itself, once a second, and sooner than kombu would.
            self._connection = current_app.connection_for_write(
                transport_options={"max_retries": 0, "socket_timeout": REPLY_SECONDS}
            )
        return self._connection

    def _connect_producer(self) -> Producer:
        if self._producer is None:
            self._producer = self._connect().Producer(auto_declare=False)
        return self._producer

    def _down(self, error: Exception) -> BrokerDown:
        self.close()
        return BrokerDown(f"{type(error).__name__}: {error}")


def chunks(pending: Sequence[Pending]) -> Iterator[tuple[str, Sequence[Pending]]]:
    """This groups deliveries into messages: one handler each, shared out among its workers."""
    groups: dict[str, list[Pending]] = defaultdict(list)
    for delivery in pending:
        if delivery.isolated:
            yield delivery.handler, [delivery]
        else:
            groups[delivery.handler].append(delivery)
    for name in sorted(groups, key=lambda name: -policy_of(handlers[name].queue).priority):
        group, handler = groups[name], handlers[name]
        policy = policy_of(handler.queue)
        share = math.ceil(len(group) / policy.concurrency)
        largest = policy.largest_batch(group[0].priority)
        largest = min(largest, handler.batch_size or largest)
        size = min(max(share, SMALLEST_CHUNK), largest)
        for start in range(0, len(group), size):
            yield name, group[start : start + size]


def describe(handler: Handler, chunk: Sequence[Pending]) -> str:
    """This answers what an operator reads as the task's arguments: type, count, first events."""
    first = ", ".join(str(delivery.event_id) for delivery in chunk[:3])
    more = ", …" if len(chunk) > 3 else ""
    return f"{handler.event_name} × {len(chunk)} ({first}{more})"


def worker_queues(timeout: float = 1.0) -> dict[str, list[str]]:
    """This answers the names of the workers that consume each queue, or raises BrokerDown."""
    try:
        answers: dict[str, Any] = current_app.control.inspect(timeout=timeout).active_queues() or {}
    except (OSError, RedisError, OperationalError) as error:
        raise BrokerDown(f"{type(error).__name__}: {error}") from error
    workers: dict[str, list[str]] = defaultdict(list)
    for worker, queues in answers.items():
        for queue in queues:
            workers[queue["name"]].append(worker)
    return workers
