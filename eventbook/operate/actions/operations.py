"""The audit trail of operators' actions, and the loop that changes many deliveries in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from eventbook.models import Delivery, Operation

BATCH = 5_000  # deliveries in a transaction: few, so that nothing waits long for their row locks

Progress = Callable[[int], None]


def no_progress(count: int) -> None:
    """Report no progress: the default of actions."""


def record_operation(action: str, actor: str, count: int, details: dict[str, Any]) -> Operation:
    """Record an operator's action; call it in the transaction of the action."""
    texts = {
        name: value if isinstance(value, list) else str(value) for name, value in details.items()
    }
    return Operation.objects.create(action=action, actor=actor, count=count, details=texts)


def record_in_batches(
    action: str,
    actor: str,
    details: dict[str, Any],
    chosen: QuerySet[Delivery],
    change: Callable[[list[int]], int],
    progress: Progress,
) -> int:
    """Record an operator's action, do it in small transactions, and return the deliveries changed.

    `change` gets a list of ids and returns how many deliveries it changed. Each transaction also
    adds that number to the operation, whose count is therefore right even after an interruption.
    `progress` is called after each transaction with the count so far.
    """
    operation = record_operation(action, actor, 0, details)
    for ids in batches_of(chosen):
        with transaction.atomic():
            count = change(ids)
            Operation.objects.filter(pk=operation.pk).update(count=F("count") + count)
        operation.count += count
        progress(operation.count)
    return operation.count


def batches_of(chosen: QuerySet[Delivery]) -> Iterator[list[int]]:
    """Yield the ids of a query's rows as lists of at most BATCH, in the order of the ids."""
    ids = iter(chosen.order_by("id").values_list("id", flat=True).iterator(chunk_size=BATCH))
    while batch := list(islice(ids, BATCH)):
        yield batch
