"""The health check of a process that serves no requests: GET /healthz, for Fly and its like."""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from django.conf import settings

from events.processes.vitals import Vitals

logger = logging.getLogger(__name__)


class HealthServer(ThreadingHTTPServer):
    """A server that answers how its process is."""

    daemon_threads = True

    def __init__(self, address: str, port: int, group: str, vitals: Vitals) -> None:
        if ":" in address:
            self.address_family = socket.AF_INET6
        self.group, self.vitals = group, vitals
        super().__init__((address, port), HealthHandler)
        # A child that outlives its parent would keep the port.
        os.register_at_fork(after_in_child=self.socket.close)

    def server_bind(self) -> None:
        """Bind the port, and ask no name server for the name of its address."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        TCPServer.server_bind(self)

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Return the status of HTTP and what the body tells."""
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


class HealthHandler(BaseHTTPRequestHandler):
    """It writes no line for each check."""

    server: HealthServer
    timeout = 5

    def do_GET(self) -> None:
        """Return a check."""
        known = self.path.partition("?")[0] == "/healthz"
        status, facts = self.server.answer() if known else (404, {"reason": "Ask for /healthz."})
        body = json.dumps(facts).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


def serve(group: str, vitals: Vitals) -> HealthServer | None:
    """Serve health checks from now on, in a thread, if HEALTH_PORT is set.

    A port that is taken stops no work; the check fails then, as it should.
    """
    if not settings.HEALTH_PORT:
        return None
    address, port = settings.HEALTH_ADDRESS, settings.HEALTH_PORT
    try:
        server = HealthServer(address, port, group, vitals)
    except OSError as error:
        logger.error("health.unavailable", extra={"error": f"{address}, port {port}: {error}"})
        return None
    threading.Thread(target=server.serve_forever, daemon=True, name="health").start()
    return server
