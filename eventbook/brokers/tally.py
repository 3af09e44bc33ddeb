"""The tally of a worker: how many tasks in a row have failed by a fault of the worker itself."""

from __future__ import annotations

import time
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.exceptions import Ignore, Reject, Retry
from celery.worker import request

from eventbook.deliveries.outcomes import BrokenOff, DeliveriesFailed
from eventbook.observe.failures import name_of

# Fewer failures in a row are no sign of a broken worker: PostgreSQL may have restarted.
SEVERAL = 3
# Errors that are not the worker's fault, apart from BrokenOff, a subclass of DeliveriesFailed.
OF_THE_TASK = (DeliveriesFailed, Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError)


class Tally:
    """The number, duration and last error of consecutive failures."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Restart the count: a task ran without a fault of the worker, or the database was down."""
        self._count = 0
        self._began = self._last = 0.0
        self._error = ""

    def add(self, error: BaseException) -> None:
        """Count a task that the worker could not run, or whose result it could not record."""
        self._last = time.monotonic()
        if not self._count:
            self._began = self._last
        self._count += 1
        self._error = name_of(error)

    @property
    def seconds(self) -> float:
        """The time from the first failure to the last; it doesn't grow while the worker is idle."""
        return self._last - self._began

    def describe(self) -> str:
        """Return the failures as text, or "" if they are too few to be the worker's fault."""
        if self._count < SEVERAL:
            return ""
        return f"every task fails: {self._count} in {self.seconds:.0f} s, with {self._error}"


tally = Tally()


def is_worker_fault(error: BaseException) -> bool:
    """Return whether a task failed because of its worker, not because of the task itself.

    DeliveriesFailed means that a handler raised, and that the outcome was recorded. Its subclass
    BrokenOff means that the outcome could not be recorded.
    """
    return isinstance(error, BrokenOff) or not isinstance(error, OF_THE_TASK)


class Request(request.Request):  # type: ignore[misc]  # Celery has no types
    """Celery's record of a task in the worker, extended to update the tally when the task ends."""

    _is_worker_fault = False

    def on_failure(self, exc_info: Any, *args: Any, **options: Any) -> Any:
        """Count the failure if the worker is at fault, then handle it as Celery does."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        self._is_worker_fault = is_worker_fault(error)
        if self._is_worker_fault and isinstance(error, Exception):
            tally.add(error)
        return super().on_failure(exc_info, *args, **options)

    def acknowledge(self) -> None:
        """Acknowledge the message, and restart the tally unless the worker is at fault."""
        if not self._is_worker_fault:
            tally.reset()
        super().acknowledge()
