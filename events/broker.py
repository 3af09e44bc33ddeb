"""The broker as the relay sees it: how long its queues are, and a way to put messages there."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from celery import current_app
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError, ResponseError

from events.deliveries import Pending
from events.messages import Writer, chunks
from events.models import Priority
from events.registry import handlers

# On Redis, kombu keeps one list for each step of `priority_steps`, and serves the lowest first.
LANES = {Priority.INTERACTIVE: 0, Priority.BULK: 9}
REPLY_SECONDS = 5  # of the broker, to one call


class BrokerDown(Exception):
    """The broker can't be reached; everything waits in PostgreSQL until it can."""


class Broker:
    """One process's connection to the broker; every call is bounded, and raises BrokerDown."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._writer: Writer | None = None

    def depths(self, queues: Sequence[str]) -> dict[tuple[str, Priority], int]:
        """Return how many messages wait in each lane of each queue."""
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
        """Return what the broker tells of its memory and of what it keeps on disk."""
        try:
            channel: Any = self._connect().default_channel
            return {**channel.client.info("memory"), **channel.client.info("persistence")}
        except ResponseError:
            return {}  # there are hosts of Redis that don't tell
        except (OSError, RedisError, OperationalError) as error:
            raise self._down(error) from error

    def publish(self, pending: Sequence[Pending], *, priority: Priority) -> Counter[str]:
        """Put deliveries into their handlers' queues, in chunks; it counts them by queue.

        All go in one round trip, those of the most urgent queue first.
        """
        sent: Counter[str] = Counter()
        lane = LANES[priority]
        try:
            if self._writer is None:
                self._writer = Writer(self._connect().default_channel)
            channel = self._writer.channel
            with channel.client.pipeline(transaction=False) as pipe:
                for name, chunk in chunks(pending):
                    handler = handlers[name]
                    message = self._writer.write(handler, chunk, lane=lane)
                    pipe.lpush(channel._q_for_pri(handler.queue, lane), message)  # noqa: SLF001
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
        if self._connection is None:
            # Our caller tries again by itself, once a second, and sooner than kombu would.
            self._connection = current_app.connection_for_write(
                transport_options={"max_retries": 0, "socket_timeout": REPLY_SECONDS}
            )
        return self._connection

    def _down(self, error: Exception) -> BrokerDown:
        self.close()
        return BrokerDown(f"{type(error).__name__}: {error}")


def worker_queues(timeout: float = 1.0) -> dict[str, list[str]]:
    """Return the names of the workers that consume each queue, or raise BrokerDown."""
    try:
        answers: dict[str, Any] = current_app.control.inspect(timeout=timeout).active_queues() or {}
    except (OSError, RedisError, OperationalError) as error:
        raise BrokerDown(f"{type(error).__name__}: {error}") from error
    workers: dict[str, list[str]] = defaultdict(list)
    for worker, queues in answers.items():
        for queue in queues:
            workers[queue["name"]].append(worker)
    return workers
