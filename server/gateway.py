"""The ASGI application in front of Django: requests run in threads, streams in the event loop.

The event loop does all the waiting for clients, in both directions. A thread gets a request when
its body is complete, and produces the response piece by piece
(docs/adr/0053-uvicorn-serves-the-site-with-our-own-deadlines.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

from django.conf import settings

from api.problems import MEDIA_TYPE, problem
from api.rendering import encode
from eventbook.stream import Hub, Stream
from server.bodies import Body, Budget, ClientGone, Message, Receive, Refused, take
from server.exchange import Application, Exchange, Scope, path_of
from server.middleware.cors import readable_by
from server.process import Lifespan
from server.refusals import most_of, refuse, require_token
from server.threads import Threads

logger = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]


class Gateway:
    """The application that uvicorn runs (https://asgi.readthedocs.io)."""

    def __init__(self, application: Application, *, hub: Hub, threads: int) -> None:
        self.application, self.hub = application, hub
        self.threads = Threads(threads)
        self.budget = Budget(settings.WEB)
        self.lifespan = Lifespan(hub)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request, or uvicorn's start and stop of the process (`lifespan`)."""
        if scope["type"] == "lifespan":
            await self.lifespan.run(receive, send)
        else:
            body = self.budget.open()
            try:
                await self._answer(scope, receive, send, body)
            finally:
                body.close()

    async def _answer(self, scope: Scope, receive: Receive, send: Send, body: Body) -> None:
        """Receive the body, run the request in a thread, and send the response."""
        try:
            await self._take(scope, receive, body)
            exchange = Exchange(scope, body)
            first = await self.threads.run(partial(exchange.begin, self.application, self.hub))
        except ClientGone:
            return
        except Refused as refused:
            await refuse(send, receive, refused, readable_of(scope))
            return
        except Exception:
            logger.exception("request.failed")
            await fail(send)
            return
        if exchange.stream is not None:
            await self._keep_open(exchange.stream, exchange, receive, send)
        else:
            await self._send(exchange, first, receive, send)

    async def _take(self, scope: Scope, receive: Receive, body: Body) -> None:
        """Receive the request's body; a large one only with a valid token."""
        headers = dict(scope["headers"])
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return
        declared = None if length is None else int(length)
        limits, most = settings.WEB, most_of(scope["method"], path_of(scope))
        if most > limits.body_bytes and (declared is None or declared > limits.body_bytes):
            await self.threads.run(partial(require_token, headers.get(b"authorization", b"")))
        await take(receive, body, most=most, declared=declared)

    async def _send(self, exchange: Exchange, first: bytes, receive: Receive, send: Send) -> None:
        """Send a response; a streamed one piece by piece, until the client disconnects."""
        await send(start_of(exchange, length=None if exchange.has_more else len(first)))
        if not exchange.has_more:
            await send({"type": "http.response.body", "body": first})
            return
        gone = asyncio.ensure_future(client_gone(receive))
        try:
            piece, more = first, True
            while more and not gone.done():
                # `send` waits until the client has read nearly all of the previous piece.
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                more = exchange.has_more
                piece = await self.threads.run(exchange.more) if more else b""
            await send({"type": "http.response.body", "body": b""})
        except Exception:
            # The status is sent already: the client notices that the response is incomplete.
            logger.exception("request.failed")
        finally:
            gone.cancel()
            if exchange.has_more:
                await self.threads.run(exchange.close)

    async def _keep_open(
        self, stream: Stream, exchange: Exchange, receive: Receive, send: Send
    ) -> None:
        """Send a live stream until it ends or the client disconnects."""
        try:
            await send(start_of(exchange, length=None))
        except BaseException:
            self.hub.leave(stream)
            raise
        sending = partial(send_piece, send)
        await self.hub.run(stream, sending, client_gone(receive))
        facts = {
            "count": stream.sent,
            "seconds": round(time.monotonic() - stream.opened_at, 1),
            "request_id": dict(exchange.headers).get("X-Request-ID"),
        }
        logger.info("stream.closed", extra=facts)
        await send({"type": "http.response.body", "body": b""})


def start_of(exchange: Exchange, *, length: int | None) -> Message:
    """Return the ASGI message with a response's status and headers.

    `length` is the body's size in bytes, if known. A live stream has no Content-Length.
    """
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in exchange.headers
    ]
    if exchange.stream is not None:
        headers = [header for header in headers if header[0] != b"content-length"]
    elif length is not None and not any(name == b"content-length" for name, _ in headers):
        headers.append((b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": exchange.status, "headers": headers}


def readable_of(scope: Scope) -> dict[str, str]:
    """Return the CORS headers with which scripts of allowed sites can read a refusal."""
    origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
    return readable_by(origin) if path_of(scope).startswith("/api/") else {}


async def send_piece(send: Send, piece: bytes) -> None:
    """Send a piece of a live stream."""
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def client_gone(receive: Receive) -> None:
    """Wait until the client closes its connection."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return


async def fail(send: Send) -> None:
    """Send status 500 where an error has passed Django's own error handling."""
    detail = "Something went wrong on our side; it has been logged."
    body = encode(problem(500, detail))
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
