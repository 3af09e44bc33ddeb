"""A circuit breaker: while the database does not respond, requests are refused at once.

Without it, each queued request would wait for its own timeout, one after another. When a request
has waited in vain, its process refuses all requests for one second; the next one tries again. Each
process does so by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from api.outage import current
from api.problems import unavailable

REFUSING_SECONDS = 1.0
# Only a failure that took longer counts. A broken connection fails faster, and the next connection
# may work.
LONG_SECONDS = 1.0


class OutageMiddleware:
    """Respond 503 to all requests for a second after one has waited for the database in vain."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.refusing_until = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        began = time.monotonic()
        if began < self.refusing_until:
            return unavailable(request)
        current.unanswered = False
        response = self.get_response(request)
        ended = time.monotonic()
        if current.unanswered and ended - began > LONG_SECONDS:
            self.refusing_until = ended + REFUSING_SECONDS
        return response
