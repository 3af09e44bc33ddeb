"""The ASGI application in front of Django: requests run in threads, streams in the event loop.

Only the event loop waits for clients, whether they send or read slowly. A thread gets a request
when its body is complete, and produces the response piece by piece
(docs/adr/0053-uvicorn-serves-the-site-with-our-own-deadlines.md).
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import closing
from functools import partial

from django.conf import settings

from api.problems import SERVER_ERROR, Unavailable, log_outage
from eventbook.stream import Hub, Stream
from server.asgi import Message, Receive, Scope, Send
from server.bodies import Body, Budget, ClientGone, RequestRefused, receive_body
from server.body_rules import max_body_bytes, refuse, require_token
from server.exchange import Application, Exchange, path_of
from server.middleware.cors import cors_headers
from server.problems import send_problem
from server.process import Lifespan
from server.threads import Threads

logger = logging.getLogger(__name__)


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
            with closing(Body(self.budget)) as body:
                await self._respond(scope, receive, send, body)

    async def _respond(self, scope: Scope, receive: Receive, send: Send, body: Body) -> None:
        """Receive the body, run the request in a thread, and send the response."""
        try:
            await self._receive_body(scope, receive, body)
            exchange = Exchange(scope, body)
            first = await self.threads.run(partial(exchange.begin, self.application, self.hub))
        except ClientGone:
            return
        except RequestRefused as refused:
            await refuse(send, receive, refused, cors_headers_of(scope))
            return
        except Exception as error:
            if log_outage(error):
                await send_problem(send, 503, Unavailable.default_detail)
            else:
                logger.exception("request.failed")
                await send_problem(send, 500, SERVER_ERROR)
            return
        if exchange.stream is not None:
            await self._send_stream(exchange.stream, exchange, receive, send)
        else:
            await self._send(exchange, first, receive, send)

    async def _receive_body(self, scope: Scope, receive: Receive, body: Body) -> None:
        """Receive the request's body; a large one only with a valid token."""
        headers = dict(scope["headers"])
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return
        declared = None if length is None else int(length)
        limits, max_bytes = settings.WEB, max_body_bytes(scope["method"], path_of(scope))
        if max_bytes > limits.body_bytes and (declared is None or declared > limits.body_bytes):
            await self.threads.run(partial(require_token, headers.get(b"authorization", b"")))
        await receive_body(receive, body, max_bytes=max_bytes, declared=declared)

    async def _send(self, exchange: Exchange, first: bytes, receive: Receive, send: Send) -> None:
        """Send a response; a streamed one piece by piece, until the client disconnects."""
        await send(response_start(exchange, length=None if exchange.has_more else len(first)))
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
                piece = await self.threads.run(exchange.next_piece) if more else b""
            await send({"type": "http.response.body", "body": b""})
        except Exception as error:
            # The status is sent already: the client notices that the response is incomplete.
            if not log_outage(error):
                logger.exception("request.failed")
        finally:
            gone.cancel()
            if exchange.has_more:
                await self.threads.run(exchange.close)

    async def _send_stream(
        self, stream: Stream, exchange: Exchange, receive: Receive, send: Send
    ) -> None:
        """Send a live stream until it ends or the client disconnects."""
        try:
            await send(response_start(exchange, length=None))
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


def response_start(exchange: Exchange, *, length: int | None) -> Message:
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


def cors_headers_of(scope: Scope) -> dict[str, str]:
    """Return the CORS headers with which scripts of allowed sites can read a refusal."""
    origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1")
    return cors_headers(origin) if path_of(scope).startswith("/api/") else {}


async def send_piece(send: Send, piece: bytes) -> None:
    """Send a piece of a live stream."""
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def client_gone(receive: Receive) -> None:
    """Wait until the client closes its connection."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
