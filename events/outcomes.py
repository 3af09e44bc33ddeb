"""How the deliveries of a batch ended, and how its Celery task tells so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from celery.exceptions import Retry

# So many of the deliveries that failed are named; all of them are in the admin.
NAMED = 10


class Outcome(NamedTuple):
    """How one delivery ended, and the class of the exception that its handler raised, if any."""

    state: str
    delivery: int = 0
    error: str = ""


class Outcomes(Counter[str]):
    """How many deliveries of a batch ended in which state, and those whose handler raised."""

    failures: Sequence[Outcome] = ()

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Outcomes:
        """Sum up what is known of each delivery."""
        counts = cls(outcome.state for outcome in outcomes)
        counts.failures = [outcome for outcome in outcomes if outcome.error]
        return counts


class DeliveriesFailed(Exception):
    """Deliveries of a batch failed; PostgreSQL knows when each comes again, and Celery need not.

    It is how a task's failure shows in Flower and in Celery's results. Its message names classes of
    exceptions, never their texts, which may quote what people wrote.
    """


class BrokenOff(DeliveriesFailed):
    """A batch could not be settled, as without its database; its deliveries come again."""

    def __init__(self, error: Exception | str) -> None:
        # Celery makes it anew from its own text in the process that shows it.
        if isinstance(error, Exception):
            name = type(error).__name__
            error = f"The batch broke off ({name}); its deliveries will come again."
        super().__init__(error)


def fail_if_any_failed(outcomes: Outcomes) -> None:
    """Raise DeliveriesFailed if a delivery died, or Retry if some failed and will come again.

    Celery's Retry makes the task's state RETRY and publishes nothing: the relay does, in time.
    """
    if not outcomes.failures:
        return
    failed = outcomes.failures
    named = [f"{one.delivery} {one.state} ({one.error})" for one in failed[:NAMED]]
    if len(failed) > NAMED:
        named.append("…")
    others = outcomes - Counter(one.state for one in failed)
    told = "; ".join([", ".join(named), *(f"{number} {state}" for state, number in others.items())])
    error = DeliveriesFailed(f"{len(failed)} of {outcomes.total()} deliveries failed: {told}")
    if any(one.state == "dead" for one in failed):
        raise error
    raise Retry(str(error), exc=error)
