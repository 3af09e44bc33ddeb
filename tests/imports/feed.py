"""A server on the loopback interface that has one feed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Feed:
    """A server with one feed, which can get new items, be gone, or be slow to answer."""

    url = ""

    def __init__(self) -> None:
        self.items = ["1", "2"]
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[dict[str, str]] = []

    @property
    def etag(self) -> str:
        """Return the ETag of the feed's current content."""
        return f'"{len(self.items)}"'

    def content(self) -> bytes:
        """Return the feed's XML, newest item first."""
        items = "".join(
            f"<item><guid>{n}</guid><title>Item {n}</title><link>https://example.org/{n}</link></item>"
            for n in reversed(self.items)
        )
        return f'<rss version="2.0"><channel><title>A feed</title>{items}</channel></rss>'.encode()


@contextmanager
def serving(settings: Any) -> Iterator[Feed]:
    """Serve a feed during the block, at an address that may be fetched."""
    feed = Feed()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            feed.asked.append(dict(self.headers.items()))
            unchanged = self.headers.get("If-None-Match") == feed.etag and feed.status == 200
            self.send_response(304 if unchanged else feed.status)
            for name, value in {"ETag": feed.etag, **feed.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if not unchanged:
                self.wfile.write(feed.content())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings.FETCH_TRUSTED = [f"127.0.0.1:{server.server_port}"]
    feed.url = f"http://127.0.0.1:{server.server_port}/feed"
    yield feed
    server.shutdown()
    server.server_close()
    thread.join()
