"""kombu's Redis transport, for workers that outlive whatever anybody puts into their queue.

And for a relay that sends a message in half the time.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from events.failures import told


@contextmanager
def _as_if_missing(package: str) -> Iterator[None]:
    missing: Any = None
    if package in sys.modules:
        yield
        return
    sys.modules[package] = missing
    try:
        yield
    finally:
        del sys.modules[package]


# redis-py loads OpenTelemetry's metrics wherever it finds them, for a use that nobody makes here:
# 60 modules and 2 MB in every process, though traces are off.
with _as_if_missing("opentelemetry"):
    from kombu.transport import TRANSPORT_ALIASES, redis

logger = logging.getLogger(__name__)


class Channel(redis.Channel):
    """A channel that drops what is no message; kombu's lets it end the worker."""

    _kept_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        """This answers one client for all that is sent: kombu makes one for each message."""
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[no-untyped-call]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[no-untyped-call]
        return self._kept_client

    def _brpop_read(self, **options: Any) -> bool | None:
        try:
            answer: bool | None = super()._brpop_read(**options)  # type: ignore[no-untyped-call]
            return answer
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # It is gone from the queue. If it stood for a delivery, the relay publishes it again.
            logger.error("broker.malformed_message", extra={"error": told(error)})
            return True


class Transport(redis.Transport):
    """The Redis transport with that channel."""

    Channel = Channel


def install() -> None:
    """This puts it in place of kombu's, for all URLs of Redis."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
