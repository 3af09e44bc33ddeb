"""The operators' actions on dead letters: deliveries that have no attempt left."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Case, F, When
from django.db.models.functions import Now

from eventbook.declare.handlers import handlers
from eventbook.models import Delivery
from eventbook.operate.actions.operations import record_operation
from eventbook.operate.selections import DeadLetters


@transaction.atomic
def replay_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """Make dead letters due again with all their attempts, and return how many."""
    count = which.deliveries().update(
        state=Delivery.State.QUEUED,
        attempts=0,
        publications=0,
        finished_at=None,
        due_at=Now(),
        # Latency and lateness count from the replay on. A part keeps the time of the delivery that
        # was split, by which the auditor finds an event's parts together, and gets a `ready_at`.
        recorded_at=Case(When(part=0, then=Now()), default=F("recorded_at")),
        ready_at=Case(When(part=0, then=F("ready_at")), default=Now()),
    )
    record_operation("dead_letters.replay", actor, count, which.details())
    return count


@transaction.atomic
def discard_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """Discard dead letters for good, and return how many; their rows stay."""
    count = which.deliveries().update(state=Delivery.State.DISCARDED, finished_at=Now())
    record_operation("dead_letters.discard", actor, count, which.details())
    return count


@transaction.atomic
def discard_removed(handler: str, *, actor: str) -> int:
    """Discard the open deliveries of a handler that was removed, and return how many.

    Raise ValueError for a handler that this release has.
    """
    if handler in handlers:
        raise ValueError(f"This release has {handler!r}: its open deliveries will be delivered.")
    count = Delivery.objects.filter(handler=handler, due_at__isnull=False).update(
        state=Delivery.State.DISCARDED, finished_at=Now(), due_at=None
    )
    record_operation("removed_handler.discard", actor, count, {"handler": handler})
    return count
