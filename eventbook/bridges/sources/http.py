"""HTTP as a source: a small server to which other systems POST one CloudEvent at a time.

The URL is `http-listen://127.0.0.1:9200/events`: the address to listen on, behind a proxy that does
TLS. Requests need the bridge's token. The response comes after the commit: 202 means that the event
is stored, recorded or parked for an operator; 503, that it must be sent again.
"""

from __future__ import annotations

import hmac
import queue
import socket
import threading
import time
from collections.abc import Sequence
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from eventbook.bridges.reading import MAX_BYTES, Arrival
from eventbook.bridges.targets.base import TargetDown
from eventbook.declare.bridges import Bridge
from eventbook.observe.health import SilentHandler

MOST_WAITING = 200  # requests not yet fetched; more are refused with 503
MOST_CONNECTIONS = 250  # each has a thread; more are closed at once
STORE_SECONDS = 10.0  # how long a request waits for its commit


class HttpSource:
    """The server's waiting requests, as a source; the server starts on first use."""

    def __init__(self, bridge: Bridge) -> None:
        parts = urlsplit(bridge.url)
        self._address = (parts.hostname or "", parts.port or 9200)
        self._path = parts.path or "/"
        self._token = bridge.token
        self._waiting: queue.Queue[Arrival] = queue.Queue(MOST_WAITING)
        self._server: EventServer | None = None

    def fetch(self, limit: int, seconds: float) -> Sequence[Arrival]:
        """Return the next requests; raise TargetDown if the port is in use."""
        self._require_server()
        found: list[Arrival] = []
        deadline = time.monotonic() + seconds
        while len(found) < limit:
            wait = 0.0 if found else max(deadline - time.monotonic(), 0.001)
            try:
                found.append(self._waiting.get(block=not found, timeout=wait))
            except queue.Empty:
                break
        return found

    def _require_server(self) -> None:
        if self._server is None:
            try:
                self._server = EventServer(self._address, self._path, self._token, self._waiting)
            except OSError as error:
                raise TargetDown(f"HTTP: can't listen: {type(error).__name__}") from error
            threading.Thread(target=self._server.serve_forever, daemon=True, name="http").start()

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Let the requests' responses be sent."""
        for arrival in arrivals:
            arrival.receipt.set()

    def close(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class EventServer(ThreadingHTTPServer):
    """The server; each request has a thread, which waits for the commit."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], path: str, token: str, waiting: queue.Queue[Arrival]
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.path, self.waiting = path, waiting
        self.free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self.expected = f"Bearer {token}".encode()
        super().__init__(address, EventHandler)

    def verify_request(self, request: object, client_address: object) -> bool:
        """Return whether there may be one more connection; the server closes it if not."""
        return self.free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.free.release()


class EventHandler(SilentHandler):
    """The handler of one connection."""

    protocol_version = "HTTP/1.1"
    server: EventServer

    def do_POST(self) -> None:  # noqa: N802
        """Take one event, and respond when it is stored."""
        status = self._refusal() or self._store()
        if status != 202:
            self.close_connection = True  # the body may be unread
        self.send_response(status)
        self.send_header("Content-Length", "0")
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()

    def _refusal(self) -> int:
        """Return the status of a request that is refused before its body is read, or 0."""
        given = self.headers.get("Authorization", "").encode()
        length = self.headers.get("Content-Length", "")
        if not hmac.compare_digest(given, self.server.expected):
            return 401
        if self.path.partition("?")[0] != self.server.path:
            return 404
        if not length.isdecimal():
            return 411
        return 413 if int(length) > MAX_BYTES else 0

    def _store(self) -> int:
        """Read the event, pass it on, and return 202 after its commit, or 503."""
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:
            return 400
        # Not the others: a parked message keeps its headers, and these may be logins and cookies.
        headers = {
            name.lower(): value
            for name, value in self.headers.items()
            if name.lower() == "content-type" or name.lower().startswith("ce-")
        }
        stored = threading.Event()
        try:
            self.server.waiting.put_nowait(Arrival(headers, body, stored))
        except queue.Full:
            return 503
        return 202 if stored.wait(STORE_SECONDS) else 503
