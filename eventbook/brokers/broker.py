"""A process's connection to the broker: read the lengths of queues, and publish messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from celery import current_app
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError, ResponseError

from eventbook.brokers.messages import Writer, chunks
from eventbook.declare.handlers import handlers
from eventbook.deliveries.states import Pending
from eventbook.models import Priority

Lane = tuple[str, Priority]  # a queue has two lanes: interactive and bulk
# The priority of a lane's messages for kombu, which splits a queue into one list per step of its
# setting `priority_steps`, and reads the lowest step first.
MESSAGE_PRIORITIES = {Priority.INTERACTIVE: 0, Priority.BULK: 9}
REPLY_SECONDS = 5  # the timeout of one call to the broker


class BrokerDown(Exception):
    """The broker is unreachable; until it is back, deliveries wait in PostgreSQL."""


class Broker:
    """One process's connection to the broker; a failing call raises BrokerDown within seconds."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._writer: Writer | None = None

    def depths(self, queues: Sequence[str]) -> dict[Lane, int]:
        """Return the number of waiting messages in each lane of these queues."""
        try:
            channel: Any = self._connect().default_channel
            lanes = [(queue, priority) for queue in queues for priority in Priority]
            with channel.client.pipeline(transaction=False) as pipe:
                for queue, priority in lanes:
                    # Only this private method of kombu knows the key of a lane's list.
                    key = channel._q_for_pri(queue, MESSAGE_PRIORITIES[priority])  # noqa: SLF001
                    pipe.llen(key)
                return dict(zip(lanes, pipe.execute(), strict=True))
        except (OSError, RedisError, OperationalError) as error:
            raise self._down(error) from error

    def info(self) -> dict[str, Any]:
        """Return Redis's INFO on memory and persistence; {} where the host forbids INFO."""
        try:
            channel: Any = self._connect().default_channel
            return {**channel.client.info("memory"), **channel.client.info("persistence")}
        except ResponseError:
            return {}
        except (OSError, RedisError, OperationalError) as error:
            raise self._down(error) from error

    def publish(self, pending: Sequence[Pending], *, priority: Priority) -> Counter[str]:
        """Publish messages for these deliveries, and return the number of messages by queue.

        All messages go in one round trip, those of the most urgent queue first.
        """
        sent: Counter[str] = Counter()
        message_priority = MESSAGE_PRIORITIES[priority]
        try:
            if self._writer is None:
                self._writer = Writer(self._connect().default_channel)
            channel = self._writer.channel
            with channel.client.pipeline(transaction=False) as pipe:
                for name, chunk in chunks(pending):
                    handler = handlers[name]
                    message = self._writer.write(handler, chunk, message_priority)
                    key = channel._q_for_pri(handler.queue, message_priority)  # noqa: SLF001
                    pipe.lpush(key, message)
                    sent[handler.queue] += 1
                pipe.execute()
        except (OSError, RedisError, OperationalError) as error:
            raise self._down(error) from error
        return sent

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""
        connection, self._connection, self._writer = self._connection, None, None
        if connection is not None:
            connection.release()

    def _connect(self) -> Connection:
        """Return the open connection, or a new one, which connects on first use."""
        if self._connection is None:
            # No retries by kombu: the relay retries once a second, which is sooner.
            self._connection = current_app.connection_for_write(
                transport_options={"max_retries": 0, "socket_timeout": REPLY_SECONDS}
            )
        return self._connection

    def _down(self, error: Exception) -> BrokerDown:
        """Close the connection, and return the exception to raise."""
        self.close()
        return BrokerDown(f"{type(error).__name__}: {error}")


def worker_queues(timeout: float = 1.0) -> dict[str, list[str]]:
    """Return the names of the running workers, by the queues that they consume.

    `timeout` is how many seconds to wait for the workers' replies. Raise BrokerDown if the broker
    is unreachable.
    """
    try:
        replies: dict[str, Any] = current_app.control.inspect(timeout=timeout).active_queues() or {}
    except (OSError, RedisError, OperationalError) as error:
        raise BrokerDown(f"{type(error).__name__}: {error}") from error
    workers: dict[str, list[str]] = defaultdict(list)
    for worker, queues in replies.items():
        for queue in queues:
            workers[queue["name"]].append(worker)
    return workers
