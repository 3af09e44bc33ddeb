"""uvicorn's HTTP protocol, plus deadlines and size limits against slow or greedy clients.

uvicorn itself has back-pressure in both directions, but no deadline for the headers of a request
and no limit for their size, and it waits for ever for a client that reads nothing. *Head* is the
request line and the headers together.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from typing import Any, ClassVar

import httptools
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from server import wsgi  # noqa: F401 - must be first: it selects the settings and loads the apps

# isort: split
from server.limits import Limits
from server.problems import encode_problem

SWEEP_SECONDS = 1.0
# Open files that a process needs for other things than connections.
OTHER_FILES = 200
NOT_HTTP = "This is not an HTTP/1.1 request."


class HeadRefused(Exception):
    """The head of a request exceeds a limit; raised inside the parser, to stop it."""


class Connection(HttpToolsProtocol):
    """One client's connection."""

    limits: ClassVar[Limits] = settings.WEB
    open: ClassVar[set[Connection]] = set()
    # Connections whose client is not reading its response, the longest-waiting first.
    slow_readers: ClassVar[dict[Connection, None]] = {}

    # Since when the connection waits for a request, or for the rest of its head.
    waiting_since: float | None = None
    head_begun = False
    head_size = 0
    # Whether the latest data completed a part of a request.
    progressed = False
    # The bytes received since a part of a request was last completed.
    bytes_without_progress = 0
    # The bytes of the response that the client had not read at the last check.
    unsent = 0
    # The time of that check.
    unsent_since = 0.0
    closing_since = 0.0  # 0: it is not closing
    # The response to a head that the parser refuses, unless a limit has set another one.
    status, refusal = 400, NOT_HTTP
    running_cycle: RequestResponseCycle | None = None

    # -- the connection --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection; if there are too many, close an idle one."""
        super().connection_made(transport)
        self.waiting_since = self.loop.time()
        self.open.add(self)
        if len(self.open) > max_connections():
            self.make_room()

    def make_room(self) -> None:
        """Close the connection that has been idle for longest, to make room for this one.

        If no other connection is idle, refuse this one with status 503.
        """
        idle = [each for each in self.open if each.waiting_since is not None and not each.is_busy]
        oldest = min(idle, key=lambda each: each.waiting_since or 0.0)
        if oldest is self:
            self.refuse(503, "The server has as many connections as it can hold; try again soon.")
        else:
            oldest.transport.abort()
            self.open.discard(oldest)

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up after the end of the connection."""
        self.open.discard(self)
        self.slow_readers.pop(self, None)
        if self.running_cycle is not None and not self.running_cycle.response_complete:
            # With pipelined requests, uvicorn notifies only the last one of the disconnect.
            self.running_cycle.disconnected = True
            self.running_cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    @property
    def is_busy(self) -> bool:
        """Whether the response to the current request is incomplete."""
        return self.cycle is not None and not self.cycle.response_complete

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self.running_cycle = cycle
        super()._start_asgi_task(cycle, app)

    # -- the headers -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse data from the client; refuse a head that is invalid or too large."""
        self._unset_keepalive_if_required()
        if self.parser is None or self.transport.is_closing():
            return
        self.progressed = False
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # There is no other protocol to upgrade to: the request gets a normal response, and the
            # connection is closed after it.
            if self.cycle is not None:
                self.cycle.keep_alive = False
        except httptools.HttpParserError:
            self.refuse(self.status, self.refusal)
        else:
            # The parser buffers an unfinished header or chunk extension without any limit.
            self.bytes_without_progress += len(data)
            if self.progressed:
                self.bytes_without_progress = 0
            if self.bytes_without_progress > self.limits.head_bytes:
                self.refuse(431, f"A header is longer than {self.limits.head_bytes} bytes.")

    def on_message_begin(self) -> None:
        """Start the limits and the deadline of a new request's head."""
        super().on_message_begin()
        self.progressed = True
        self.waiting_since, self.head_begun, self.head_size = self.loop.time(), True, 0

    def on_url(self, url: bytes) -> None:
        """Add a part of the request's URL; refuse a URL that is too long (414)."""
        self._count(len(url), status=414, subject="address is")
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; refuse headers that are too long or too many (431).

        Trailers, which follow a chunked body, are dropped: they must not replace headers.
        """
        self._count(len(name) + len(value), status=431, subject="headers are")
        if not self.head_begun:
            return
        if len(self.headers) >= self.limits.head_fields:
            self._fail(431, f"The request has more than {self.limits.head_fields} headers.")
        super().on_header(name, value)

    def _count(self, size: int, *, status: int, subject: str) -> None:
        """Add to the head's size, and refuse a head that is too long; `subject` names the part."""
        self.head_size += size
        if self.head_size > self.limits.head_bytes:
            self._fail(status, f"The {subject} longer than {self.limits.head_bytes} bytes.")

    def _fail(self, status: int, detail: str) -> None:
        self.status, self.refusal = status, detail
        # httptools turns this into an HttpParserError, which data_received catches.
        raise HeadRefused(detail)

    def on_headers_complete(self) -> None:
        """Start the request, or queue it behind the one before it on this connection."""
        if len(self.pipeline) >= self.limits.pipelined_requests:
            self._fail(429, "Too many requests wait on this connection; read the responses.")
        self.waiting_since, self.head_begun, self.progressed = None, False, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self.progressed = True
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Start to wait for the next request."""
        super().on_response_complete()
        if not self.is_busy:
            self.waiting_since = self.loop.time()

    # -- clients that don't read their response ----------------------------------------------------

    def pause_writing(self) -> None:
        """Pause a response that the client doesn't read.

        While all unread responses together exceed `unsent_bytes`, abort the connection that has
        waited longest, but never this one.
        """
        super().pause_writing()
        self._watch_reader(self.loop.time())
        waiting = sum(each.transport.get_write_buffer_size() for each in self.slow_readers)
        while waiting > self.limits.unsent_bytes and len(self.slow_readers) > 1:
            slowest = next(iter(self.slow_readers))
            waiting -= slowest.transport.get_write_buffer_size()
            slowest.abort()

    def _watch_reader(self, now: float) -> None:
        """Measure from now on how fast the client reads."""
        self.unsent, self.unsent_since = self.transport.get_write_buffer_size(), now
        self.slow_readers[self] = None

    def resume_writing(self) -> None:
        """Resume sending: the client reads again."""
        self.slow_readers.pop(self, None)
        super().resume_writing()

    def abort(self) -> None:
        """Abort the connection and drop its unsent data."""
        self.slow_readers.pop(self, None)
        self.transport.abort()

    # -- the deadlines -----------------------------------------------------------------------------

    def check_deadlines(self, now: float) -> None:
        """Close the connection if its client has missed a deadline; `now` is the loop's time."""
        if self.transport.is_closing():
            self.closing_since = self.closing_since or now
            if now - self.closing_since > self.limits.send_stall_seconds:
                self.abort()
        elif self in self.slow_readers:
            self._check_reader(now)
        elif self.waiting_since is not None and not self.is_busy:
            if self.transport.get_write_buffer_size():
                self.waiting_since = now
                self._watch_reader(now)
            else:
                self._check_sender(now - self.waiting_since)

    def _check_sender(self, waited: float) -> None:
        """Close a connection whose client sends no request, or its head too slowly."""
        limits, is_first = self.limits, self.cycle is None
        if self.head_begun and waited > limits.head_seconds:
            self.refuse(408, f"The headers took longer than {limits.head_seconds:g} seconds.")
        elif waited > (limits.head_seconds if is_first else limits.idle_seconds):
            self.transport.abort()

    def _check_reader(self, now: float) -> None:
        """Close a connection whose client has read too little of the response."""
        left = self.transport.get_write_buffer_size()
        if not left:
            del self.slow_readers[self]
        if not left or now - self.unsent_since < self.limits.send_stall_seconds:
            return
        if self.unsent - left < self.limits.send_bytes_per_second * (now - self.unsent_since):
            self.abort()
        self.unsent, self.unsent_since = left, now

    # -- responses of the server itself ------------------------------------------------------------

    def refuse(self, status: int, detail: str) -> None:
        """Send a problem document (RFC 9457), unless a response is due; close the connection."""
        if self.is_busy:
            # The client would take the refusal for the response to its earlier request.
            self.transport.abort()
            return
        headers, body = encode_problem(status, detail)
        headers = [*self.server_state.default_headers, *headers, (b"connection", b"close")]
        lines = [STATUS_LINE[status].rstrip(), *(b": ".join(header) for header in headers)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()


def max_connections() -> int:
    """Return the limit of connections: at most half of the open files that the process may have.

    The other half is for request bodies on disk.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(Connection.limits.web_connections, (files - OTHER_FILES) // 2))


async def enforce_deadlines() -> None:
    """Enforce the deadlines of all connections once a second; stop if the parent process ends."""
    loop, parent = asyncio.get_running_loop(), os.getppid()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = loop.time()
        for connection in list(Connection.open):
            connection.check_deadlines(now)
        if os.getppid() != parent:
            signal.raise_signal(signal.SIGTERM)
