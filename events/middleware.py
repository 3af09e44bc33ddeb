from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from events.outbox import traceparent

# https://www.w3.org/TR/trace-context/#traceparent-header
TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")


class TraceparentMiddleware:
    """This keeps the caller's trace for the events that a request records."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        header = request.headers.get("traceparent", "")
        token = traceparent.set(header if TRACEPARENT.match(header) else "")
        try:
            return self.get_response(request)
        finally:
            traceparent.reset(token)
