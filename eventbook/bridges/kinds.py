"""The kinds of targets, each chosen by the scheme of a bridge's URL.

A module is imported when a bridge of its kind runs: no other process needs its library.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.utils.module_loading import import_string

from eventbook.bridges.sources.base import Source
from eventbook.bridges.targets.base import Target
from eventbook.declare.bridges import Bridge

# The class of each scheme, by what the bridge does.
KINDS: dict[str, dict[str, str]] = {
    "publish": {
        "nats": "targets.nats.NatsTarget",
        "tls": "targets.nats.NatsTarget",
        "amqp": "targets.rabbitmq.RabbitTarget",
        "amqps": "targets.rabbitmq.RabbitTarget",
        "redis-streams": "targets.redis.StreamsTarget",
        "rediss-streams": "targets.redis.StreamsTarget",
        "redis-pubsub": "targets.redis.PubSubTarget",
        "rediss-pubsub": "targets.redis.PubSubTarget",
        "http": "targets.http.HttpTarget",
        "https": "targets.http.HttpTarget",
        "http-binary": "targets.http.HttpTarget",
        "https-binary": "targets.http.HttpTarget",
    },
    "consume": {
        "nats": "sources.nats.NatsSource",
        "tls": "sources.nats.NatsSource",
        "amqp": "sources.rabbitmq.RabbitSource",
        "amqps": "sources.rabbitmq.RabbitSource",
        "redis-streams": "sources.redis.StreamsSource",
        "rediss-streams": "sources.redis.StreamsSource",
        "redis-pubsub": "sources.redis.PubSubSource",
        "rediss-pubsub": "sources.redis.PubSubSource",
        "http-listen": "sources.http.HttpSource",
    },
}


class UnknownKind(ValueError):
    """The scheme of a bridge's URL names no kind of target, or none for this direction."""


def target_of(bridge: Bridge) -> Target:
    """Return the target of a bridge, not connected yet; raise UnknownKind."""
    target: Target = _class(bridge, "publish")(bridge)
    return target


def source_of(bridge: Bridge) -> Source:
    """Return the source of a bridge, not connected yet; raise UnknownKind."""
    source: Source = _class(bridge, "consume")(bridge)
    return source


def require_kind(bridge: Bridge, direction: str) -> str:
    """Return where the class for a bridge's URL and direction is; raise UnknownKind."""
    scheme, kinds = scheme_of(bridge.url), KINDS[direction]
    if scheme not in kinds:
        raise UnknownKind(f"its URL begins with {scheme!r}, not one of {', '.join(kinds)}")
    return kinds[scheme]


def place_of(bridge: Bridge) -> str:
    """Return the scheme, host and path of a bridge's URL, without login and query.

    Of a URL with a fault, return the scheme only: what looks like a path may be a password. The
    path of a web address may be a secret, too: who knows a webhook's address may post to it.
    """
    if url_problem(bridge.url):
        return f"{scheme_of(bridge.url)}://…"
    parts = urlsplit(bridge.url)
    port = f":{parts.port}" if parts.port else ""
    path = "/…" if parts.scheme.startswith("http") and len(parts.path) > 1 else parts.path
    return f"{parts.scheme}://{parts.hostname or ''}{port}{path}"


def scheme_of(url: str) -> str:
    """Return the scheme of a URL, or "" if it has none; unlike urlsplit, never raise an error."""
    scheme, separator, _ = url.partition("://")
    return scheme if separator else ""


def url_problem(url: str) -> str:
    """Return what is wrong with a URL, without parts of it; "" if nothing is."""
    try:
        parts = urlsplit(url)
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":
            return "the login in its URL has characters that must be percent-encoded"
        return "" if parts.hostname and parts.port != 0 else "its URL has no host"
    except ValueError:
        return "its URL has no valid host or port"


def _class(bridge: Bridge, direction: str) -> Any:
    return import_string(f"eventbook.bridges.{require_kind(bridge, direction)}")
