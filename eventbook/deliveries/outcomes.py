"""The outcomes of a batch's deliveries, and the exceptions that show failures in Celery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from celery.exceptions import Retry

NAMED = 10  # failed deliveries that a message names; the admin shows all


class Outcome(NamedTuple):
    """How the run of a delivery ended; `error` is the class of its handler's exception, if any."""

    state: str
    delivery: int = 0
    error: str = ""


class Outcomes(Counter[str]):
    """The number of a batch's deliveries by outcome; `failures` has those whose handler raised."""

    failures: Sequence[Outcome] = ()

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Outcomes:
        """Count these outcomes by state, and keep the failures."""
        counts = cls(outcome.state for outcome in outcomes)
        counts.failures = [outcome for outcome in outcomes if outcome.error]
        return counts


class DeliveriesFailed(Exception):
    """Deliveries of a batch failed; this makes the task a failure in Flower and Celery's results.

    Celery retries nothing: the relay publishes each delivery again when it is due. The message has
    the classes of the handler's exceptions, never their texts, which may quote private text.
    """


class BrokenOff(DeliveriesFailed):
    """A batch could not be settled, for example because PostgreSQL was down; it will be retried."""

    def __init__(self, error: Exception | str) -> None:
        # In another process, Celery creates the exception again, with its message as the argument.
        if isinstance(error, Exception):
            name = type(error).__name__
            error = f"The batch broke off ({name}); its deliveries will be retried."
        super().__init__(error)


def fail_if_any_failed(outcomes: Outcomes) -> None:
    """Raise DeliveriesFailed if a failed delivery is dead; otherwise, Celery's Retry if any failed.

    Retry only sets the task's state to RETRY: the relay publishes the deliveries when they are due.
    """
    if not outcomes.failures:
        return
    failed = outcomes.failures
    named = [f"{one.delivery} {one.state} ({one.error})" for one in failed[:NAMED]]
    if len(failed) > NAMED:
        named.append("…")
    others = outcomes - Counter(one.state for one in failed)
    counts = [f"{number} {state}" for state, number in others.items()]
    summary = "; ".join([", ".join(named), *counts])
    error = DeliveriesFailed(f"{len(failed)} of {outcomes.total()} deliveries failed: {summary}")
    if any(one.state == "dead" for one in failed):
        raise error
    raise Retry(str(error), exc=error)
