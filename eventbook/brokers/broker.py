"""A process's connection to the broker: read the lengths of queues, and publish messages."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from celery import current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from eventbook.brokers.lanes import Kind, kind_of, queue_of
from eventbook.deliveries.states import Pending
from eventbook.models import Priority

Lane = tuple[str, Priority]  # a queue has two lanes: interactive and bulk
REPLY_SECONDS = 5  # the timeout of one call to the broker


class BrokerDown(Exception):
    """The broker is unreachable; until it is back, deliveries wait in PostgreSQL."""


class Weakness(NamedTuple):
    """A setting or state by which the broker may lose or refuse messages, and what to do."""

    name: str
    text: str
    advice: str


class Broker(Protocol):
    """One process's connection to the broker; a failing call raises BrokerDown within seconds."""

    def depths(self, queues: Sequence[str]) -> dict[Lane, int]:
        """Return the number of waiting messages in each lane of these queues."""

    def publish(self, pending: Sequence[Pending], *, priority: Priority) -> Counter[str]:
        """Publish messages for these deliveries, and return the number of messages by queue.

        The messages of the most urgent queue are sent first.
        """

    def weaknesses(self) -> Iterator[Weakness]:
        """Yield what may make the broker lose or refuse messages."""

    def close(self) -> None:
        """Close the connection; the next call opens a new one."""


def open_broker() -> Broker:
    """Return a connection to the broker of Celery's setting `broker_url`; it connects when used.

    Raise BrokerDown if there is none, because the relay runs the handlers itself.
    """
    from eventbook.brokers.rabbitmq import RabbitMQ
    from eventbook.brokers.redis import Redis

    match kind_of(current_app.conf.broker_url):
        case Kind.REDIS:
            return Redis()
        case Kind.RABBITMQ:
            return RabbitMQ()
        case Kind.NONE:
            raise BrokerDown("BROKER_URL is none: no broker is used")


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
        for name in dict.fromkeys(queue_of(queue["name"]) for queue in queues):
            workers[name].append(worker)
    return workers
