"""kombu's Redis transport, for workers that outlive whatever anybody puts into their queue."""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

logger = logging.getLogger(__name__)


class Channel(redis.Channel):
    """A channel that drops what is no message; kombu's lets it end the worker."""

    def _brpop_read(self, **options: Any) -> bool | None:
        try:
            answer: bool | None = super()._brpop_read(**options)  # type: ignore[no-untyped-call]
            return answer
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # It is gone from the queue. If it stood for a delivery, the relay publishes it again.
            logger.error("broker.malformed_message", extra={"error": repr(error)})
            return True


class Transport(redis.Transport):
    """The Redis transport with that channel."""

    Channel = Channel


def install() -> None:
    """This puts it in place of kombu's, for all URLs of Redis."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
