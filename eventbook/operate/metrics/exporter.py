"""A small HTTP server for Prometheus' scrapes; it needs PostgreSQL, but not the broker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.db import connection
from prometheus_client.exposition import ThreadingWSGIServer

from eventbook.observe.failures import connection_error
from eventbook.observe.health import SilentHandler
from eventbook.operate.metrics.snapshot import Unavailable, exposition

logger = logging.getLogger(__name__)

Answer = tuple[str, str, bytes]
TEXT = "text/plain; charset=utf-8"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond to /metrics and /healthz: the exporter's WSGI application."""
    status, content_type, body = _answer(environ)
    headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]


def _answer(environ: dict[str, Any]) -> Answer:
    """Return the response to a request: status, content type and body."""
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return "405 Method Not Allowed", TEXT, b""
    if path == "/healthz":
        return "200 OK", "application/json", b'{"status": "ok"}'
    if path == "/metrics":
        return _metrics(environ.get("HTTP_ACCEPT", ""))
    return "404 Not Found", TEXT, b"Here are /metrics and /healthz.\n"


def _metrics(accept: str) -> Answer:
    """Return the response to a scrape: 503 if the database does not respond."""
    try:
        body, content_type = exposition(accept)
    except Unavailable as error:
        logger.warning("metrics.unavailable", extra={"error": connection_error(error)})
        return "503 Service Unavailable", TEXT, b"The database does not respond.\n"
    finally:
        # Each request has its own thread, whose connection would stay open when the thread ends.
        connection.close()
    return "200 OK", content_type, body


class Server(ThreadingWSGIServer):
    """prometheus_client's server: a thread per request, so a slow scrape delays no health check."""

    daemon_threads = True


class QuietHandler(SilentHandler, WSGIRequestHandler):
    """The handler of scrapes."""

    timeout = 10


def serve(address: str, port: int) -> Server:
    """Return a listening server; the caller runs `serve_forever`."""
    server: Server = make_server(address, port, application, Server, QuietHandler)
    return server
