"""How each kind of broker keeps the two lanes of a queue, as Celery's configuration.

Redis has one list for each priority of a queue. RabbitMQ has a queue for each lane, because its
quorum queues have no priorities before version 4. Settings import this module, so it can't import
models.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from celery import current_app
from django.core.exceptions import ImproperlyConfigured
from kombu.entity import Queue

from eventbook.declare.queues import BULK, QueuePolicy

NONE = "none"  # in place of an address: the relay runs the handlers itself
BULK_SUFFIX = ".bulk"  # of the name of a bulk lane in RabbitMQ
# RabbitMQ drops a message that has been redelivered this many times, for example since it kills
# each worker. Its deliveries are not lost: the relay publishes them again, one by one.
DELIVERY_LIMIT = 3
REDIS_OPTIONS = {
    # kombu's acknowledgements cost as much broker work as everything else a worker does with a
    # message. They aren't needed: the relay publishes a dead worker's deliveries again, sooner than
    # kombu would restore its messages.
    "ack_emulation": False,
    "socket_timeout": 10,
    "socket_connect_timeout": 3,
    "health_check_interval": 10,
    # Of the lanes' messages, interactive and bulk.
    "priority_steps": [0, 9],
}
# Without these, kombu accepts any certificate of Redis, and RabbitMQ's for any host.
REDIS_TLS = {"ssl_cert_reqs": "required", "ssl_check_hostname": "true"}
RABBITMQ_TLS = {
    "cert_reqs": ssl.CERT_REQUIRED,
    "server_hostname": None,  # None stands for the address's
}
RABBITMQ_OPTIONS = {
    "connect_timeout": 3,
    "read_timeout": 10,
    "write_timeout": 10,
    # Wait until the server has stored a message.
    "confirm_publish": True,
    # Of one use of a connection. By default, kombu tries again for ever: a thread that asks the
    # workers something would never end while the server is away.
    "max_retries": 1,
}


class UnknownBroker(ImproperlyConfigured):
    """The broker's address is not one that works; the message says which do."""


class Kind(Enum):
    """The kinds of brokers."""

    REDIS = auto()
    RABBITMQ = auto()
    NONE = auto()


KINDS = {
    "redis": Kind.REDIS,
    "rediss": Kind.REDIS,
    "redis+socket": Kind.REDIS,
    "sentinel": Kind.REDIS,
    "amqp": Kind.RABBITMQ,
    "amqps": Kind.RABBITMQ,
    # kombu's broker within one process, which nobody else sees: Celery requires some address.
    "memory": Kind.NONE,
}


class BrokerSettings(NamedTuple):
    """Celery's settings for a broker.

    They are `broker_url`, `broker_use_ssl`, `task_queues` and `broker_transport_options`.
    """

    url: str
    use_ssl: dict[str, Any] | None
    queues: list[Queue]
    transport_options: dict[str, Any]


def broker_settings(
    url: str, policies: Iterable[QueuePolicy], *, master: str = ""
) -> BrokerSettings:
    """Return Celery's settings for a broker's address (or NONE) and the queue table.

    `master` is the name under which Redis's sentinels, if the addresses are theirs, know the
    server. Raise UnknownBroker for an address of another kind, or with a fault.
    """
    kind = Kind.NONE if url == NONE else kind_of(url)
    _require_readable(url)
    if kind == Kind.RABBITMQ:
        lanes: list[Queue] = [lane for policy in policies for lane in _lanes(policy)]
        use_ssl = dict(RABBITMQ_TLS) if url.startswith("amqps://") else None
        return BrokerSettings(url, use_ssl, lanes, RABBITMQ_OPTIONS)
    # Each needs its own routing key: with the default one, all would get the same messages.
    queues = [Queue(policy.name, routing_key=policy.name) for policy in policies]
    if kind == Kind.NONE:
        return BrokerSettings("memory://", None, queues, {})
    if url.startswith("sentinel://") and not master:
        raise UnknownBroker(
            "BROKER_MASTER must be the name by which the sentinels know the server."
        )
    if url.startswith("rediss://"):
        url = _with_parameters(url, REDIS_TLS)
    options = REDIS_OPTIONS | ({"master_name": master} if master else {})
    return BrokerSettings(url, None, queues, options)


def _require_readable(url: str) -> None:
    """Raise UnknownBroker, without parts of the address, if its login or port can't be read.

    The libraries' errors have a traceback, and parts of a password.
    """
    for each in url.split(";"):
        try:
            parts = urlsplit(each)
            is_readable = (
                parts.port != 0 and "@" not in f"{parts.path}{parts.query}{parts.fragment}"
            )
        except ValueError:
            is_readable = False
        if not is_readable:
            raise UnknownBroker(
                "The broker's address has no valid port, or a login with characters that must be"
                " percent-encoded: for example / as %2F."
            )


def _with_parameters(url: str, defaults: dict[str, str]) -> str:
    """Return an address with these parameters, unless it has them with other values."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query=urlencode(defaults | dict(parse_qsl(parts.query)))))


def kind_of(url: str) -> Kind:
    """Return the kind of the broker at an address; raise UnknownBroker if it is none of ours."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in KINDS:
        known = ", ".join(f"{name}://" for name in KINDS if name != "memory")
        raise UnknownBroker(f"The broker's address must be {NONE}, or begin with one of {known}.")
    return KINDS[scheme]


def lane_names(url: str, queue: str) -> list[str]:
    """Return the names of the queues in the broker that a queue consists of."""
    return [queue, queue + BULK_SUFFIX] if kind_of(url) == Kind.RABBITMQ else [queue]


def queue_of(name: str) -> str:
    """Return the queue to which a queue in the broker belongs."""
    return name.removesuffix(BULK_SUFFIX)


class LaneQueue(Queue):
    """A lane in RabbitMQ, of which a worker holds at most `prefetch` messages.

    With fewer bulk messages than child processes, one child stays free for interactive messages.
    """

    attrs = (*Queue.attrs, ("prefetch", int))  # type: ignore[assignment]
    prefetch = 1

    def consume(self, *args: Any, **options: Any) -> Any:
        """Begin to consume; RabbitMQ applies the last prefetch count to each new consumer."""
        self.channel.basic_qos(0, self.prefetch, False)
        return super().consume(*args, **options)  # type: ignore[no-untyped-call]


def set_prefetch(consumer: Any, policies: Mapping[str, QueuePolicy]) -> None:
    """Consume RabbitMQ's lanes with the prefetch counts of these policies; leave Redis's queues.

    `consumer` is the worker's, from kombu; `policies` are those in force, by queue. The counts also
    hold after a reconnection, for which Celery binds its configured queues anew.
    """
    for lane in list(consumer.queues):
        if isinstance(lane, LaneQueue):
            consumer.cancel_by_queue(lane.name)
            policy = policies[queue_of(lane.name)]
            lane.prefetch = _prefetch(lane.name, policy)
            current_app.amqp.queues[lane.name].prefetch = lane.prefetch
            consumer.add_queue(lane)
    consumer.consume()


def _prefetch(lane: str, policy: QueuePolicy) -> int:
    return policy.concurrency_for(BULK) if lane.endswith(BULK_SUFFIX) else policy.concurrency


def _lanes(policy: QueuePolicy) -> list[LaneQueue]:
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT}
    return [
        LaneQueue(  # type: ignore[no-untyped-call]
            name,
            routing_key=name,
            prefetch=_prefetch(name, policy),
            queue_arguments=arguments,
        )
        for name in (policy.name, policy.name + BULK_SUFFIX)
    ]
