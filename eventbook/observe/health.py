"""The health check, GET /healthz, of processes without a website: relay, worker, beat, bridge …"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from eventbook.conf import conf
from eventbook.observe.vitals import Vitals

logger = logging.getLogger(__name__)


class HealthServer(ThreadingHTTPServer):
    """An HTTP server that reports the health of its process; `group` is its process group."""

    daemon_threads = True

    def __init__(self, address: str, port: int, group: str, vitals: Vitals) -> None:
        if ":" in address:
            self.address_family = socket.AF_INET6
        self.group, self.vitals = group, vitals
        super().__init__((address, port), HealthHandler)
        # A worker's child process that outlives it would otherwise keep the port in use.
        os.register_at_fork(after_in_child=self.socket.close)

    def server_bind(self) -> None:
        """Bind the port without HTTPServer's look-up of the host's name, which may hang."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)

    def response(self) -> tuple[int, dict[str, Any]]:
        """Return the response's HTTP status, 200 or 503, and the fields of its JSON body."""
        health = self.vitals.health()
        facts = {
            "status": health.status,
            "reason": health.reason,
            "group": self.group,
            "queues": list(self.vitals.queues),
            "concurrency": self.vitals.concurrency,
            "progressed_seconds_ago": round(self.vitals.idle_seconds(), 1),
        }
        return (200 if health.well else 503), facts


class SilentHandler(BaseHTTPRequestHandler):
    """A request handler that logs no line for each request, nor for clients that go away."""

    timeout = 5  # seconds without data until the connection is closed

    def handle(self) -> None:
        """Handle requests until the connection ends, be it by a reset."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:
        """Drop the line that http.server would print for each request."""


class HealthHandler(SilentHandler):
    """The handler of health checks."""

    server: HealthServer

    def do_GET(self) -> None:
        """Respond to a health check, or with 404 to any other path."""
        known = self.path.partition("?")[0] == "/healthz"
        status, facts = self.server.response() if known else (404, {"reason": "Request /healthz."})
        body = json.dumps(facts).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815


def serve(group: str, vitals: Vitals) -> HealthServer | None:
    """Serve health checks in a thread, if HEALTH_PORT is set; return the server, or None.

    If the port is in use, the process works on without a server; its check then fails.
    """
    if not conf.HEALTH_PORT:
        return None
    address, port = conf.HEALTH_ADDRESS, conf.HEALTH_PORT
    try:
        server = HealthServer(address, port, group, vitals)
    except OSError as error:
        logger.error("health.unavailable", extra={"error": f"{address}, port {port}: {error}"})
        return None
    threading.Thread(target=server.serve_forever, daemon=True, name="health").start()
    return server
