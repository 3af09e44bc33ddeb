"""What a worker's main process counts of its tasks: whether any of them ends as it should."""

from __future__ import annotations

import time
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.exceptions import Ignore, Reject, Retry
from celery.worker import request

from events.failures import name_of
from events.outcomes import BrokenOff, DeliveriesFailed

# One or two may fail for any reason, as when PostgreSQL restarts.
SEVERAL = 3
# These tell of one task, and not of all that its worker does.
OF_THE_TASK = (DeliveriesFailed, Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError)


class Tally:
    """Tasks that failed one after another, with none between them that ended as it should."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew: a task ended as it should, or a server was down."""
        self._count = 0
        self._began = self._last = 0.0
        self._error = ""

    def failed(self, error: BaseException) -> None:
        """Count a task that its worker could not run, or whose end it could not write down."""
        self._last = time.monotonic()
        if not self._count:
            self._began = self._last
        self._count += 1
        self._error = name_of(error)

    @property
    def seconds(self) -> float:
        """The time from the first failure to the last one; an idle worker has no new ones."""
        return self._last - self._began

    def __str__(self) -> str:
        if self._count < SEVERAL:
            return ""
        return f"every task fails: {self._count} in {self.seconds:.0f} s, with {self._error}"


tally = Tally()


def is_broken(error: BaseException) -> bool:
    """Return whether a task failed without having settled its deliveries.

    One whose handler raised has settled them: the worker works, and the handler does not.
    """
    return isinstance(error, BrokenOff) or not isinstance(error, OF_THE_TASK)


class Request(request.Request):  # type: ignore[misc]  # Celery has no types
    """A request that the worker counts when it ends."""

    _broken = False

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Count a failure, and handle it as Celery does."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        self._broken = is_broken(error)
        if self._broken and isinstance(error, Exception):
            tally.failed(error)
        return super().on_failure(exc_info, *args, **options)

    def acknowledge(self) -> None:
        """Acknowledge the message: whatever is not broken has ended as it should."""
        if not self._broken:
            tally.forget()
        super().acknowledge()
