"""The life of one web process: how it begins, and how a signal ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

from config.web.bodies import Message, Receive
from config.web.connections import watch
from events.stream import Hub

logger = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]


class Lifespan:
    """What happens when uvicorn starts a process of the site, and when it stops it."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve until uvicorn says that all connections are closed."""
        await receive()
        watching = asyncio.ensure_future(watch())
        for number in (signal.SIGTERM, signal.SIGINT):
            self._end_streams_at(number)
        logger.info("web.started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watching.cancel()
        from config import wsgi

        wsgi.leave()
        logger.info("web.stopped")
        await send({"type": "lifespan.shutdown.complete"})

    def _end_streams_at(self, number: signal.Signals) -> None:
        """Let a signal end the streams first: uvicorn waits for what is open before it stops."""
        stop: Any = signal.getsignal(number)

        def end(number: int, frame: FrameType | None) -> None:
            self.hub.close()
            stop(number, frame)

        signal.signal(number, end)
