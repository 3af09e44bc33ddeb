"""An outside service that records each call with its idempotency key."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Call:
    """One request: its subject, its idempotency key, and its time (monotonic seconds)."""

    subject: str
    key: str
    time: float


class Outside(ThreadingHTTPServer):
    """The service. While `down` is set it responds with 503; a call takes `seconds`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.calls: list[Call] = []
        self.down = threading.Event()
        self.seconds = 0.0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Return the address of the service."""
        return f"http://127.0.0.1:{self.server_port}/"

    def forget(self) -> None:
        """Reset the service: forget calls, respond with 200 and at once."""
        self.calls.clear()
        self.down.clear()
        self.seconds = 0.0


class Answer(BaseHTTPRequestHandler):
    """One request to the service."""

    server: Outside

    def do_POST(self) -> None:
        """Record the call and respond."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        call = Call(body["subject"], self.headers["Idempotency-Key"], time.monotonic())
        self.server.calls.append(call)
        if self.server.seconds:
            time.sleep(self.server.seconds)
        self.send_response(503 if self.server.down.is_set() else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Write no access log."""
