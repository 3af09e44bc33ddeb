"""A small HTTP server for Prometheus' scrapes; it needs PostgreSQL, but not the broker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, make_server

from django.db import connection
from prometheus_client.exposition import ThreadingWSGIServer

from eventbook.observe.failures import connection_error
from eventbook.observe.health import SilentHandler
from eventbook.operate.metrics.snapshot import MetricsUnavailable, exposition

logger = logging.getLogger(__name__)

TEXT = "text/plain; charset=utf-8"


class Response(NamedTuple):
    """An HTTP response."""

    status: str
    content_type: str
    body: bytes


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond to /metrics and /healthz: the exporter's WSGI application."""
    response = _respond(environ)
    headers = [
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
    ]
    start_response(response.status, headers)
    return [response.body]


def _respond(environ: dict[str, Any]) -> Response:
    """Return the response to a request."""
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return Response("405 Method Not Allowed", TEXT, b"")
    if path == "/healthz":
        return Response("200 OK", "application/json", b'{"status": "ok"}')
    if path == "/metrics":
        return _metrics(environ.get("HTTP_ACCEPT", ""))
    return Response("404 Not Found", TEXT, b"The paths are /metrics and /healthz.\n")


def _metrics(accept: str) -> Response:
    """Return the response to a scrape: 503 if the database does not respond."""
    try:
        body, content_type = exposition(accept)
    except MetricsUnavailable as error:
        logger.warning("metrics.unavailable", extra={"error": connection_error(error)})
        return Response("503 Service Unavailable", TEXT, b"The database does not respond.\n")
    finally:
        # Each request has its own thread, whose connection would stay open when the thread ends.
        connection.close()
    return Response("200 OK", content_type, body)


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
