"""The identity of each request: its request id, its trace, and its line in the log."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from random import getrandbits
from typing import Any

from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponse
from structlog.contextvars import bind_contextvars, reset_contextvars

from eventbook.observe import tracing

logger = logging.getLogger(__name__)

# A client's request id is accepted only if it is harmless in a log line.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# Requested every few seconds by machines, and so logged at DEBUG.
PROBES = ("healthz", "readyz", "metrics")


class RequestMiddleware:
    """Give each request its ids and its span, and log its end with its route, never its URL.

    URLs contain usernames and search terms.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        got_request_exception.connect(log_failure, dispatch_uid="server.requests")

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Process a request inside its span, with its ids bound to its log lines."""
        began = time.perf_counter()
        method = request.method if request.method in METHODS else "_OTHER"
        parent = tracing.valid_traceparent(request.META.get("HTTP_TRACEPARENT", ""))
        # While tracing is off, no span gives the request's log lines a trace id.
        own = "" if tracing.is_on() else tracing.new_traceparent()
        token = tracing.traceparent.set(parent or own)
        with tracing.span(method, parent=parent, kind="server") as span:
            id = request_id(request)
            trace_id = tracing.trace_id(tracing.traceparent.get())
            bound = bind_contextvars(request_id=id, trace_id=trace_id)
            try:
                response = self.get_response(request)
                record_end(span, request, method, response.status_code, began)
            finally:
                reset_contextvars(**bound)
        tracing.traceparent.reset(token)
        response.headers["X-Request-ID"] = id
        return response


def request_id(request: HttpRequest) -> str:
    """Return the client's `X-Request-ID` if it is well formed, or else a new random id."""
    given: str = request.META.get("HTTP_X_REQUEST_ID", "")
    return given if REQUEST_ID.fullmatch(given) else f"{getrandbits(128):032x}"


def record_end(
    span: tracing.Span, request: HttpRequest, method: str, status: int, began: float
) -> None:
    """Record the end of a request in the log and in its span.

    `began` is the time by `time.perf_counter()` at which it started.
    """
    match = request.resolver_match
    route = match.route if match else ""
    level = logging.DEBUG if route in PROBES else logging.INFO
    if logger.isEnabledFor(level):
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "duration_ms": round((time.perf_counter() - began) * 1000, 2),
        }
        logger.log(level, "request.done", extra=fields)
    if tracing.is_on():
        attributes: dict[str, tracing.Value] = {
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
        }
        span.set_attributes(attributes, name=f"{method} {route}".strip())
        if status >= 500:
            span.fail(str(status))


def log_failure(**_: Any) -> None:
    """Log an exception that no view has handled; runs while Django handles it."""
    from api.problems import log_outage

    error = sys.exc_info()[1]
    if error is not None and not log_outage(error):
        logger.error("request.failed", exc_info=error)
