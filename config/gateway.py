"""RSGI in front of WSGI: requests go to Django, in threads of its own; streams stay in the loop.

RSGI is granian's own interface, in which a response can be given from any thread
(docs/adr/0037-requests-in-threads-streams-in-the-loop.md).
"""

from __future__ import annotations

import asyncio
import io
import logging
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from granian.rsgi import (  # type: ignore[attr-defined]
    HTTPProtocol,
    ProtocolClosed,
    Scope,
)

from config.stream import HUB, STREAM
from events.stream import Hub
from events.stream.streams import Stream

logger = logging.getLogger(__name__)

# A body up to this is there before Django begins; a larger one is read as Django reads it.
SMALL_BODY = 1024 * 1024
# What a response that is made piece by piece is sent in.
PIECE = 64 * 1024

Headers = list[tuple[str, str]]
Application = Callable[..., Any]  # of WSGI: it answers Django's responses


class Gateway:
    """The application that granian runs (https://github.com/emmett-framework/granian, RSGI)."""

    def __init__(self, application: Application, *, hub: Hub, threads: int) -> None:
        self.application, self.hub = application, hub
        self._exchanges: queue.SimpleQueue[Exchange] = queue.SimpleQueue()
        for number in range(threads):
            threading.Thread(target=self._work, daemon=True, name=f"django-{number}").start()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """This lets a signal end the streams; granian waits for what is open before it stops.

        asyncio still gets the signal, through its file descriptor.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.hub.close())

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """This answers one request."""
        exchange = Exchange(scope, proto, asyncio.get_running_loop())
        await exchange.read_body()
        self._exchanges.put(exchange)
        stream = await exchange.done
        if stream is not None:
            await self._keep_open(stream, exchange)

    async def _keep_open(self, stream: Stream, exchange: Exchange) -> None:
        try:
            transport = exchange.proto.response_stream(exchange.status, exchange.headers)
        except BaseException:
            self.hub.leave(stream)
            raise
        with suppress(ProtocolClosed):
            await self.hub.run(stream, transport.send_bytes, exchange.proto.client_disconnect())
        facts = {
            "count": stream.sent,
            "seconds": round(time.monotonic() - stream.opened_at, 1),
            "request_id": dict(exchange.headers).get("X-Request-ID"),
        }
        logger.info("stream.closed", extra=facts)

    def _work(self) -> None:
        while True:
            self._answer(self._exchanges.get())

    def _answer(self, exchange: Exchange) -> None:
        stream = None
        try:
            environ = exchange.environ() | {HUB: self.hub}
            response = self.application(environ, exchange.start_response)
            try:
                stream = environ.get(STREAM)
                if stream is None:
                    exchange.respond(response)
            finally:
                response.close()
        except ProtocolClosed:
            pass  # whoever asked has gone
        except Exception:
            logger.exception("request.failed")
            with suppress(Exception):
                exchange.proto.response_empty(500, [])
        exchange.finish(stream)


class Exchange:
    """A request and its response, between the event loop and a thread of Django's."""

    def __init__(self, scope: Scope, proto: HTTPProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self.scope, self.proto, self.loop = scope, proto, loop
        self.done: asyncio.Future[Stream | None] = loop.create_future()
        self.body: Any = io.BytesIO()
        self.status, self.headers = 500, list[tuple[str, str]]()

    async def read_body(self) -> None:
        """This reads a small body, without which Django would wait for a slow sender."""
        length = self.scope.headers.get("content-length")
        if length is None:
            return  # Django reads no body whose length it doesn't know
        if length.isdecimal() and int(length) <= SMALL_BODY:
            self.body = io.BytesIO(await self.proto())
        else:
            self.body = io.BufferedReader(Body(self.proto, self.loop))

    def environ(self) -> dict[str, Any]:
        """This answers the request as WSGI has it (PEP 3333)."""
        scope = self.scope
        host, _, port = scope.server.rpartition(":")
        environ = {
            "REQUEST_METHOD": scope.method,
            "SCRIPT_NAME": "",
            # WSGI's texts are bytes, one a character.
            "PATH_INFO": scope.path.encode("utf-8", "replace").decode("latin-1"),
            "QUERY_STRING": scope.query_string,
            "SERVER_NAME": host,
            "SERVER_PORT": port,
            "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
            "REMOTE_ADDR": scope.client.rpartition(":")[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scope.scheme,
            "wsgi.input": self.body,
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for header, value in scope.headers.items():
            name = name_of(header)
            if not name:
                continue
            if before := environ.get(name):
                joint = "; " if name == "HTTP_COOKIE" else ","
                environ[name] = f"{before}{joint}{value}"
            else:
                environ[name] = value
        if scope.authority and "HTTP_HOST" not in environ:
            environ["HTTP_HOST"] = scope.authority  # as HTTP/2 tells it
        return environ

    def start_response(self, status: str, headers: Headers, exc_info: Any = None) -> None:
        """This takes how the response begins."""
        self.status, self.headers = int(status[:3]), headers

    def respond(self, response: Any) -> None:
        """This sends a response, from the thread in which it was made."""
        if response.streaming:
            self._send_pieces(response)
        else:
            self.proto.response_bytes(self.status, self.headers, response.content)

    def _send_pieces(self, response: Iterable[bytes]) -> None:
        transport = self.proto.response_stream(self.status, self.headers)
        gathered = bytearray()
        for part in response:
            gathered += part
            if len(gathered) >= PIECE:
                self._wait(transport.send_bytes(bytes(gathered)))
                gathered.clear()
        if gathered:
            self._wait(transport.send_bytes(bytes(gathered)))

    def _wait(self, sending: Any) -> None:
        asyncio.run_coroutine_threadsafe(awaited(sending), self.loop).result()

    def finish(self, stream: Stream | None) -> None:
        """This gives the request back to the loop, with the stream that it opens."""
        if stream is not None:
            self.headers = [h for h in self.headers if h[0].lower() != "content-length"]
        self.loop.call_soon_threadsafe(self.done.set_result, stream)


class Body(io.RawIOBase):
    """A large body, which Django's thread reads while it comes."""

    def __init__(self, proto: HTTPProtocol, loop: asyncio.AbstractEventLoop) -> None:
        self._pieces, self._loop = aiter(proto), loop
        self._left = b""

    def readable(self) -> bool:
        """This can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """This reads what is there, waiting for the next piece if that is nothing."""
        if not self._left:
            reading = asyncio.run_coroutine_threadsafe(
                awaited(anext(self._pieces, b"")), self._loop
            )
            self._left = bytes(reading.result())
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


async def awaited(future: Any) -> Any:
    """This awaits what is no coroutine."""
    return await future


@lru_cache(1000)
def name_of(header: str) -> str:
    """This answers what a header is called in WSGI; nothing, if it must not pass for another.

    `x_forwarded_proto` is not the header that a proxy sets.
    """
    name = header.upper().replace("-", "_")
    if name in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
        return name
    return "" if "_" in header else f"HTTP_{name}"
