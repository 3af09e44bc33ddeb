"""A web of one server on the loopback interface: pages, robots.txt and registries."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.harness.servers import WEB_PORT

HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Reply:
    """A reply of the server; without a status, it sends nothing."""

    body: bytes = b""
    status: int | None = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": HTML})
    # It comes once as many ask for a page with it at the same time.
    together: threading.Barrier | None = None


@dataclass(frozen=True)
class Asked:
    """A request, and when it came."""

    path: str
    headers: Mapping[str, str]
    at: float = field(default_factory=time.monotonic)


class Web(ThreadingHTTPServer):
    """The server: `replies` by path are what it has; `asked` are the requests, in order."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 50

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", WEB_PORT), Handler)
        self.replies: dict[str, Reply] = {}
        self.asked: list[Asked] = []

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        """Return the address of a page."""
        return f"http://{host}:{WEB_PORT}{path}"

    def has(self, path: str, body: str | bytes = "", status: int | None = 200, **more: str) -> str:
        """Add a page to the server, with `more` as headers; return its address."""
        headers = {"Content-Type": HTML} | {k.replace("_", "-"): v for k, v in more.items()}
        content = body.encode() if isinstance(body, str) else body
        self.replies[path] = Reply(content, status, headers)
        return self.url(path)

    def visits(self, path: str = "") -> list[Asked]:
        """Return the requests for a page, or for all pages but robots.txt."""
        return [
            each
            for each in self.asked
            if (each.path == path if path else each.path != "/robots.txt")
        ]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that hang up."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Web

    def do_GET(self) -> None:
        """Send the stored reply of the requested page."""
        self.server.asked.append(Asked(self.path, dict(self.headers)))
        reply = self.server.replies.get(self.path, Reply(status=404))
        tag = reply.headers.get("ETag")
        if tag and self.headers.get("If-None-Match") == tag:
            reply = Reply(b"", 304, {"ETag": tag})
        if reply.together:
            reply.together.wait(timeout=5)
        if reply.status is None:
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if "Content-Length" not in reply.headers:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """Write no access log."""


@contextmanager
def running() -> Iterator[Web]:
    """Run the server during the block."""
    with Web() as web:
        threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield web
        finally:
            web.shutdown()
