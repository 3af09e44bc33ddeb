"""Another system's web server, which keeps the events that are posted to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage, from_http_event

from tests.harness.processes import free_port


class WebServer:
    """A server on a port of the loopback interface that may be stopped and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.requests: list[tuple[dict[str, str], bytes]] = []
        # The status of the response to a body.
        self.respond: Callable[[bytes], int] = lambda body: 202
        self._server: ThreadingHTTPServer | None = None

    def url(self, scheme: str = "http", login: str = "") -> str:
        return f"{scheme}://{login}127.0.0.1:{self.port}/events?of=commonplace"

    def start(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                body = self.rfile.read(length)
                if len(body) < length:  # the bridge was killed
                    return
                status = server.respond(body)
                if 200 <= status < 300:
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    server.requests.append((headers | {"path": self.path}, body))
                self.send_response(status)
                self.send_header("Location", "http://169.254.169.254/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def events(self) -> list[dict[str, Any]]:
        """Return the events as CloudEvents' own library reads them, in order of arrival."""
        read = [from_http_event(HTTPMessage(headers, body)) for headers, body in self.requests]
        return [
            {"id": event.get_id(), "subject": event.get_subject(), "data": event.get_data()}
            for event in read
        ]
