"""The operators' actions on waiting deliveries: discard them, or retry them at once."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models.functions import Now

from eventbook.deliveries.states import RATE_LIMITED, discard_waiting
from eventbook.models import Delivery
from eventbook.operate.actions.operations import Progress, no_progress, record_in_batches
from eventbook.operate.selections import Waiting


@dataclass(frozen=True)
class Purged:
    """How many deliveries a purge discarded, and how many it left because a worker held them."""

    discarded: int
    held: int


def purge(which: Waiting, *, actor: str, progress: Progress = no_progress) -> Purged:
    """Discard waiting deliveries for good; their rows stay.

    Later deliveries are not discarded. Work in small transactions; `progress` is called after each
    with the count so far.
    """
    held = 0

    def discard(ids: list[int]) -> int:
        nonlocal held
        discarded, held_of_these = discard_waiting(ids)
        held += held_of_these
        return discarded

    discarded = record_in_batches(
        "queue.purge", actor, which.details(), which.deliveries(), discard, progress
    )
    return Purged(discarded, held)


def retry_now(which: Waiting, *, actor: str, progress: Progress = no_progress) -> int:
    """Make waiting retries due now, and return how many.

    The relay still publishes at most the queue's `retry_rate` of them a second. Deliveries that
    wait for a turn under a rate limit keep their turns.
    """
    retries = Delivery.objects.filter(state=Delivery.State.RETRY)
    later = which.deliveries().filter(state=Delivery.State.RETRY, due_at__gt=Now())

    def make_due(ids: list[int]) -> int:
        return retries.filter(pk__in=ids).update(due_at=Now())

    return record_in_batches(
        "queue.retry", actor, which.details(), later.exclude(error=RATE_LIMITED), make_due, progress
    )
