"""What operators do to dead letters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Case, F, QuerySet, When
from django.db.models.functions import Now

from events.models import Delivery
from events.registry import handlers
from events.services.operations import note


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    """Which dead letters are meant: all that fit every field given."""

    ids: Sequence[int] | None = None
    among: QuerySet[Delivery] | None = None
    queue: str = ""
    handler: str = ""
    type: str = ""
    error: str = ""  # words in the last error
    since: datetime | None = None  # when they died
    until: datetime | None = None
    limit: int | None = None  # so many of them, those that died first

    def filters(self) -> dict[str, Any]:
        """Return the same as filters of a query over deliveries."""
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
        """Return what an Operation keeps of it."""
        fields = ("ids", "queue", "handler", "type", "error", "since", "until", "limit")
        return {name: value for name in fields if (value := getattr(self, name))}


@transaction.atomic
def replay_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """Give dead letters all their attempts again, and return how many."""
    count = Delivery.objects.filter(**which.filters()).update(
        state=Delivery.State.QUEUED,
        attempts=0,
        publications=0,
        finished_at=None,
        due_at=Now(),
        # From now on it is counted how long it takes; except of parts, which go by their whole.
        recorded_at=Case(When(part=0, then=Now()), default=F("recorded_at")),
    )
    note("dead_letters.replay", actor, count, which.details())
    return count


@transaction.atomic
def discard_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """Give dead letters up for good, and return how many; their record stays."""
    count = Delivery.objects.filter(**which.filters()).update(
        state=Delivery.State.DISCARDED, finished_at=Now()
    )
    note("dead_letters.discard", actor, count, which.details())
    return count


@transaction.atomic
def discard_removed(handler: str, *, actor: str) -> int:
    """Give up what is open for a handler that was removed, and return how many.

    Raises ValueError for a handler that this release has.
    """
    if handler in handlers:
        raise ValueError(f"This release has {handler!r}: what is open for it will be delivered.")
    count = Delivery.objects.filter(handler=handler, due_at__isnull=False).update(
        state=Delivery.State.DISCARDED, finished_at=Now(), due_at=None
    )
    note("removed_handler.discard", actor, count, {"handler": handler})
    return count
