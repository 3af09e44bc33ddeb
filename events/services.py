"""What operators do to deliveries. Each act is written down as an Operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from events.models import Delivery, Operation


@dataclass(frozen=True, kw_only=True)
class DeadLetters:
    """Which dead letters are meant: all that fit every field given."""

    ids: Sequence[int] | None = None
    queue: str = ""
    handler: str = ""

    def filters(self) -> dict[str, Any]:
        """This answers the same as filters of a query over deliveries."""
        chosen: dict[str, Any] = {"state": Delivery.State.DEAD}
        if self.ids is not None:
            chosen["id__in"] = list(self.ids)
        if self.queue:
            chosen["queue"] = self.queue
        if self.handler:
            chosen["handler"] = self.handler
        return chosen


@transaction.atomic
def replay_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """This gives dead letters all their attempts again, and answers how many."""
    count = Delivery.objects.filter(**which.filters()).update(
        state=Delivery.State.QUEUED,
        attempts=0,
        publications=0,
        finished_at=None,
        due_at=timezone.now(),
    )
    _note("dead_letters.replay", actor, count, which.filters())
    return count


@transaction.atomic
def discard_dead_letters(which: DeadLetters, *, actor: str) -> int:
    """This gives dead letters up for good, and answers how many; their record stays."""
    count = Delivery.objects.filter(**which.filters()).update(
        state=Delivery.State.DISCARDED, finished_at=timezone.now()
    )
    _note("dead_letters.discard", actor, count, which.filters())
    return count


def _note(action: str, actor: str, count: int, details: dict[str, Any]) -> None:
    texts = {
        name: value if isinstance(value, list) else str(value)
        for name, value in details.items()
        if value is not None
    }
    Operation.objects.create(action=action, actor=actor, count=count, details=texts)
