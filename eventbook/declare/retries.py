"""When a failed delivery is tried again: the number of attempts, and the waits between them.

A queue's policy says so for all of its handlers. A handler may say otherwise, for all errors or by
class of error: a service that is away deserves more patience than one that refuses a request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite

from eventbook.declare.queues import QueuePolicy

# Returns the wait in seconds after the n-th failed attempt, counted from 1.
Backoff = Callable[[int], float]

MOST_ATTEMPTS = 1_000
LONGEST_WAIT_SECONDS = 366 * 86_400


class Permanent(Exception):
    """Raised by a handler that will never succeed: the delivery is dead at once, for `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a delivery is attempted, and how long it waits between attempts.

    Where a field is None, the handler's other retries or the queue's policy decide. Raise
    ValueError for less than 1 attempt or more than MOST_ATTEMPTS.
    """

    attempts: int | None = None
    backoff: Backoff | None = None

    def __post_init__(self) -> None:
        if self.attempts is not None and not 1 <= self.attempts <= MOST_ATTEMPTS:
            raise ValueError(f"{self.attempts} attempts: give a number from 1 to {MOST_ATTEMPTS}.")

    def otherwise(self, default: Retry) -> Retry:
        """Return this retry, with the default's values in place of None."""
        return Retry(
            attempts=default.attempts if self.attempts is None else self.attempts,
            backoff=default.backoff if self.backoff is None else self.backoff,
        )


NEVER = Retry(attempts=1)
AS_THE_QUEUE = Retry()


def fixed(seconds: float) -> Backoff:
    """Return a back-off that always waits this long."""
    return lambda _: seconds


def exponential(seconds: float, *, cap: float) -> Backoff:
    """Return a back-off that waits `seconds`, then twice as long each time, at most `cap`."""
    # The exponent is limited, since a float holds no power of two above 1023.
    return lambda failed: min(cap, seconds * 2.0 ** min(failed - 1, 1000))


def jittered(backoff: Backoff) -> Backoff:
    """Return a back-off that waits a random time, at most as long as the given one.

    Deliveries that failed together are then not tried again together: "full jitter" of
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
    """
    return lambda failed: random.uniform(0, backoff(failed))  # noqa: S311 - no secret


def retry_for(
    error: BaseException | None, own: Retry, by_error: Mapping[type[Exception], Retry]
) -> Retry:
    """Return a handler's retry after an error, or after its worker died (None).

    The entry of `by_error` for the error's own class, or else for its nearest base class, decides
    before `own`. Permanent is never retried.
    """
    if isinstance(error, Permanent):
        return NEVER
    classes = type(error).__mro__ if error else ()
    nearest = next((by_error[each] for each in classes if each in by_error), AS_THE_QUEUE)
    return nearest.otherwise(own)


def waits_of(retry: Retry, policy: QueuePolicy) -> list[float]:
    """Return the wait in seconds after each attempt but the last, which has none.

    Raise ValueError for a wait that is negative, infinite or longer than a year.
    """
    attempts = policy.max_attempts if retry.attempts is None else retry.attempts
    growing = exponential(policy.backoff_seconds, cap=policy.backoff_cap_seconds)
    backoff = retry.backoff or jittered(growing)
    waits = [float(backoff(failed)) for failed in range(1, attempts)]
    for failed, wait in enumerate(waits, start=1):
        if not (isfinite(wait) and 0 <= wait <= LONGEST_WAIT_SECONDS):
            raise ValueError(f"The wait after attempt {failed} can't be {wait} seconds.")
    return waits
