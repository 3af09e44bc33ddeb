"""The audit trail of operators' actions, and the loop that works on many deliveries in steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from eventbook.models import Delivery, Operation

STEP = 5_000  # deliveries in a transaction: few, so that nothing waits long for their row locks

Progress = Callable[[int], None]


def note(action: str, actor: str, count: int, details: dict[str, Any]) -> Operation:
    """Record an operator's action; call it in the transaction of the action."""
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
    """Apply `act` to many deliveries in small transactions.

    `act` gets a list of ids and returns how many deliveries it changed. Each transaction also adds
    that number to the operation, whose count is therefore right even after an interruption.
    `progress` is called after each transaction with the count so far.
    """
    for ids in steps_of(chosen):
        with transaction.atomic():
            count = act(ids)
            Operation.objects.filter(pk=operation.pk).update(count=F("count") + count)
        operation.count += count
        progress(operation.count)


def steps_of(chosen: QuerySet[Delivery]) -> Iterator[list[int]]:
    """Yield the ids of a query's rows as lists of at most STEP, in the order of the ids."""
    ids = iter(chosen.order_by("id").values_list("id", flat=True).iterator(chunk_size=STEP))
    while step := list(islice(ids, STEP)):
        yield step
