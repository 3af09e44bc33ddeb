"""The operators' actions on waiting deliveries: discard them, or retry them at once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now

from eventbook.deliveries.states import RATE_LIMITED, discard_waiting
from eventbook.models import Delivery
from eventbook.operate.acts.operations import Progress, in_steps, note


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A selection of open deliveries: those that match every given field."""

    among: QuerySet[Delivery] | None = None
    queue: str = ""
    handler: str = ""
    type: str = ""
    older_than: timedelta | None = None  # the age of their event

    def deliveries(self) -> QuerySet[Delivery]:
        """Return the selection as a query."""
        chosen: dict[str, Any] = {"due_at__isnull": False}
        fields = {
            "id__in": self.among and self.among.order_by().values("id"),
            "queue": self.queue,
            "handler": self.handler,
            "event__type": self.type,
            "recorded_at__lt": self.older_than and Now() - self.older_than,
        }
        return Delivery.objects.filter(**chosen | {n: v for n, v in fields.items() if v})

    def details(self) -> dict[str, Any]:
        """Return the given fields, for the Operation that records the action."""
        fields = ("queue", "handler", "type", "older_than")
        return {name: value for name in fields if (value := getattr(self, name))}


@dataclass
class Purged:
    """How many deliveries a purge discarded, and how many it left because a worker held them."""

    discarded: int = 0
    held: int = 0


def purge(which: Waiting, *, actor: str, progress: Progress = lambda _: None) -> Purged:
    """Discard waiting deliveries for good; their rows stay.

    Only deliveries that exist when it starts are discarded. Works in small transactions;
    `progress` is called after each with the count so far.
    """
    purged = Purged()

    def discard(ids: list[int]) -> int:
        discarded, held = discard_waiting(ids)
        purged.held += held
        return discarded

    operation = note("queue.purge", actor, 0, which.details())
    in_steps(which.deliveries(), discard, operation=operation, progress=progress)
    purged.discarded = operation.count
    return purged


def retry_now(which: Waiting, *, actor: str, progress: Progress = lambda _: None) -> int:
    """Make waiting retries due now, and return how many.

    The relay still publishes at most the queue's `retry_rate` of them a second. Deliveries that
    wait for a turn under a rate limit keep their turns.
    """
    waiting = which.deliveries().filter(state=Delivery.State.RETRY, due_at__gt=Now())

    def make_due(ids: list[int]) -> int:
        return waiting_now.filter(pk__in=ids).update(due_at=Now())

    waiting_now = Delivery.objects.filter(state=Delivery.State.RETRY)
    operation = note("queue.retry", actor, 0, which.details())
    in_steps(waiting.exclude(error=RATE_LIMITED), make_due, operation=operation, progress=progress)
    return operation.count
