"""The operators' actions on dead letters: deliveries that have no attempt left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Case, F, QuerySet, When
from django.db.models.functions import Now

from eventbook.declare.handlers import handlers
from eventbook.models import Delivery
from eventbook.operate.acts.operations import note


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    """A selection of dead letters: those that match every given field."""

    ids: Sequence[int] | None = None
    among: QuerySet[Delivery] | None = None
    queue: str = ""
    handler: str = ""
    type: str = ""
    error: str = ""  # part of the last error's text, in any case
    since: datetime | None = None  # died at or after this time
    until: datetime | None = None  # died before this time
    limit: int | None = None  # at most this many, those that died first

    def filters(self) -> dict[str, Any]:
        """Return the selection as keyword filters for a query over deliveries."""
        chosen: dict[str, Any] = {"state": Delivery.State.DEAD}
        fields = {
            "id__in": self.ids if self.among is None else self.among.order_by().values("id"),
            "queue": self.queue,
            "handler": self.handler,
            "event__type": self.type,
            "error__icontains": self.error,
            "finished_at__gte": self.since,
            "finished_at__lt": self.until,
        }
        chosen |= {name: value for name, value in fields.items() if value not in (None, "")}
        if self.limit is None:
            return chosen
        first = Delivery.objects.filter(**chosen).order_by("finished_at", "id")
        return chosen | {"id__in": list(first.values_list("id", flat=True)[: self.limit])}

    def details(self) -> dict[str, Any]:
        """Return the given fields, for the Operation that records the action."""
        fields = ("ids", "queue", "handler", "type", "error", "since", "until", "limit")
        return {name: value for name in fields if (value := getattr(self, name))}


@transaction.atomic
def replay_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """Make dead letters due again with all their attempts, and return how many."""
    count = Delivery.objects.filter(**which.filters()).update(
        state=Delivery.State.QUEUED,
        attempts=0,
        publications=0,
        finished_at=None,
        due_at=Now(),
        # Latency counts from the replay on; a part keeps the time of the delivery that was split.
        recorded_at=Case(When(part=0, then=Now()), default=F("recorded_at")),
    )
    note("dead_letters.replay", actor, count, which.details())
    return count


@transaction.atomic
def discard_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """Discard dead letters for good, and return how many; their rows stay."""
    count = Delivery.objects.filter(**which.filters()).update(
        state=Delivery.State.DISCARDED, finished_at=Now()
    )
    note("dead_letters.discard", actor, count, which.details())
    return count


@transaction.atomic
def discard_removed(handler: str, *, actor: str) -> int:
    """Discard the open deliveries of a handler that was removed, and return how many.

    Raises ValueError for a handler that this release has.
    """
    if handler in handlers:
        raise ValueError(f"This release has {handler!r}: its open deliveries will be delivered.")
    count = Delivery.objects.filter(handler=handler, due_at__isnull=False).update(
        state=Delivery.State.DISCARDED, finished_at=Now(), due_at=None
    )
    note("removed_handler.discard", actor, count, {"handler": handler})
    return count
