"""The start and the graceful stop of one web process."""

from __future__ import annotations

import asyncio
import logging
import signal
from types import FrameType
from typing import Any

from eventbook.stream import Hub
from server import wsgi
from server.asgi import Receive, Send
from server.connections import enforce_deadlines

logger = logging.getLogger(__name__)


class Lifespan:
    """ASGI's lifespan protocol: the work at the start and at the end of a process."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    async def run(self, receive: Receive, send: Send) -> None:
        """Start the background tasks, and end them when uvicorn has closed all connections."""
        await receive()
        watching = asyncio.ensure_future(enforce_deadlines())
        for number in (signal.SIGTERM, signal.SIGINT):
            self._end_streams_at(number)
        logger.info("web.started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        watching.cancel()
        wsgi.leave()
        logger.info("web.stopped")
        await send({"type": "lifespan.shutdown.complete"})

    def _end_streams_at(self, number: signal.Signals) -> None:
        """Close all live streams at this signal, then run uvicorn's own handler.

        Otherwise uvicorn would wait for the open streams until its stop timeout.
        """
        stop: Any = signal.getsignal(number)

        def end(number: int, frame: FrameType | None) -> None:
            self.hub.close()
            stop(number, frame)

        signal.signal(number, end)
