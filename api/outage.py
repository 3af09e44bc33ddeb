"""Whether the database responded to the current request (one request at a time in a thread).

`server/middleware/outage.py` reads `current`, and then refuses requests for a moment.
"""

from __future__ import annotations

import threading

from django.db import Error

current = threading.local()


def record_outage(error: BaseException) -> None:
    """Record whether the current request failed because the database did not respond.

    An error with an SQLSTATE was reported by the server, so the server did respond.
    """
    cause = error.__cause__ if isinstance(error, Error) else error
    current.unanswered = getattr(cause, "sqlstate", None) is None
