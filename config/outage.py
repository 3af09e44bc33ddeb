"""While the database does not answer, requests are refused at once instead of one by one.

Each process finds out by itself. A request that waited in vain closes the door for a second; the
first one after that tries again. Otherwise those that queue behind it would each wait as long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from django.db import Error
from django.http import HttpRequest, HttpResponse

CLOSED_SECONDS = 1.0
# A connection that breaks fails faster than this, and the next one may be fine.
LONG_SECONDS = 1.0

_current = threading.local()


def note(error: BaseException) -> None:
    """Remember that the present request failed because no server answered.

    An error that the server itself reports has an SQLSTATE: it did answer.
    """
    cause = error.__cause__ if isinstance(error, Error) else error
    _current.unanswered = getattr(cause, "sqlstate", None) is None


class OutageMiddleware:
    """This answers 503 while the door is closed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.closed_until = 0.0

    def __call__(self, request: HttpRequest) -> HttpResponse:
        from config.problems import unavailable

        began = time.monotonic()
        if began < self.closed_until:
            return unavailable(request)
        _current.unanswered = False
        response = self.get_response(request)
        ended = time.monotonic()
        if _current.unanswered and ended - began > LONG_SECONDS:
            self.closed_until = ended + CLOSED_SECONDS
        return response
