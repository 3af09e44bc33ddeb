"""The audit trail: who did what, when, and to how many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from events.models import Delivery, Operation

STEP = 5_000  # deliveries a transaction: what else waits for these rows doesn't wait for long

Progress = Callable[[int], None]


def note(action: str, actor: str, count: int, details: dict[str, Any]) -> Operation:
    """Write down an act, in the transaction that does it."""
    texts = {
        name: value if isinstance(value, list) else str(value) for name, value in details.items()
    }
    return Operation.objects.create(action=action, actor=actor, count=count, details=texts)


def in_steps(
    chosen: QuerySet[Delivery],
    act: Callable[[list[int]], int],
    *,
    operation: Operation,
    progress: Progress,
) -> None:
    """Do something to many deliveries in small transactions.

    `act` gets ids and answers how many it changed. The operation counts them in the same
    transactions, so that it tells the truth about an act that was interrupted too; `progress`
    hears how many there were so far.
    """
    for ids in steps_of(chosen):
        with transaction.atomic():
            count = act(ids)
            Operation.objects.filter(pk=operation.pk).update(count=F("count") + count)
        operation.count += count
        progress(operation.count)


def steps_of(chosen: QuerySet[Delivery]) -> Iterator[list[int]]:
    """Return the ids that a query chooses now, so many at a time."""
    ids = iter(chosen.order_by("id").values_list("id", flat=True).iterator(chunk_size=STEP))
    while step := list(islice(ids, STEP)):
        yield step
