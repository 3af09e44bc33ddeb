"""Reads of deliveries for operators: dead letters, failing handlers, and lists by state."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum

from django.db.models import Count, F, Func, Q, QuerySet
from django.db.models.functions import Now

from eventbook.declare.queues import all_policies
from eventbook.models import Delivery, Lease, Priority
from eventbook.operate.queries.values import rows
from eventbook.operate.selections import DeadLetters, Waiting


def unknown_handlers(known: list[str]) -> list[str]:
    """Return the handlers of open deliveries that are not in `known`, this release's handlers."""
    statement = (
        "SELECT DISTINCT handler FROM eventbook_delivery"
        " WHERE due_at IS NOT NULL AND handler <> ALL(%s) ORDER BY handler"
    )
    return [name for (name,) in rows(statement, [known])]


def open_count(names: list[str]) -> int:
    """Return how many deliveries are open for these handlers."""
    return Delivery.objects.filter(handler__in=names, due_at__isnull=False).count()


def dead_letters(which: DeadLetters, *, limit: int) -> list[Delivery]:
    """Return the newest dead letters, with their events."""
    letters = which.deliveries().select_related("event").prefetch_related("failures")
    return list(letters.order_by("-finished_at")[:limit])


def dead_by_handler(which: DeadLetters) -> dict[str, int]:
    """Return how many of the selected dead letters each handler has."""
    letters = which.deliveries().order_by("handler")
    return dict(letters.values_list("handler").annotate(Count("id")))


def dead_by_queue() -> dict[str, dict[str, int]]:
    """Return how many dead letters each handler has, by queue."""
    letters = Delivery.objects.filter(state=Delivery.State.DEAD).order_by("queue", "handler")
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for queue, handler, count in letters.values_list("queue", "handler").annotate(Count("id")):
        found[queue][handler] = count
    return found


@dataclass(frozen=True)
class FailingHandler:
    """A handler with deliveries that failed and wait for a retry, and their number."""

    queue: str
    handler: str
    count: int


def failing_handlers() -> list[FailingHandler]:
    """Return the handlers with deliveries that wait for a retry, the most deliveries first."""
    waiting = Delivery.objects.filter(state=Delivery.State.RETRY, attempts__gt=0).order_by()
    counts = waiting.values_list("queue", "handler").annotate(count=Count("id"))
    return [FailingHandler(*each) for each in counts.order_by("-count")]


class ListedState(StrEnum):
    """The states in which operators list deliveries: a queued one is waiting or active."""

    WAITING = "waiting"
    ACTIVE = "active"
    RETRYING = "retrying"
    DEAD = "dead"
    DONE = "done"
    DISCARDED = "discarded"


def deliveries_of(
    queue: str, state: ListedState, *, handler: str = "", type: str = "", limit: int = 50
) -> list[Delivery]:
    """Return a queue's deliveries in one state, with their events.

    Waiting deliveries come in the order in which they are published, retries by their due time,
    and finished ones newest first.
    """
    chosen = Delivery.objects.select_related("event").filter(queue=queue)
    if handler:
        chosen = chosen.filter(handler=handler)
    if type:
        chosen = chosen.filter(event__type=type)
    if state == ListedState.WAITING:
        return _in_order(chosen.filter(state=Delivery.State.QUEUED).exclude(leased()), limit)
    if state == ListedState.ACTIVE:
        active = chosen.filter(leased(), state__in=["queued", "running"])
        return list(active.order_by("id")[:limit])
    if state == ListedState.RETRYING:
        waiting = chosen.filter(state=Delivery.State.RETRY, due_at__isnull=False)
        return list(waiting.order_by("due_at")[:limit])
    return list(chosen.filter(state=state).order_by("-id")[:limit])


def _in_order(chosen: QuerySet[Delivery], limit: int) -> list[Delivery]:
    """Return the first deliveries, interactive ones first.

    Each lane is read by its index: one sort over all lanes would read the whole backlog.
    """
    found: list[Delivery] = []
    for lane in sorted(Priority, reverse=True):
        waiting = chosen.filter(priority=lane, due_at__isnull=False).order_by("due_at")
        found += waiting[: limit - len(found)]
    return found


def leased() -> Q:
    """Return a filter for the deliveries that a worker holds a lease on."""
    held = Lease.objects.filter(expires_at__gt=Now())
    return Q(id__in=held.values(held_id=Func(F("deliveries"), function="unnest")))


def known_queue(queue: str) -> bool:
    """Return whether a queue is in the queue table, or has open deliveries from when it was."""
    return (
        queue in all_policies()
        or Delivery.objects.filter(queue=queue, due_at__isnull=False).exists()
    )


@dataclass(frozen=True)
class PurgePreview:
    """How many deliveries a purge would discard, by handler, and leave, as a worker holds them."""

    by_handler: dict[str, int]
    held: int

    @property
    def would_discard(self) -> int:
        """Return how many deliveries the purge would discard."""
        return sum(self.by_handler.values())


def purge_preview(which: Waiting) -> PurgePreview:
    """Return the preview of a purge of the selected deliveries."""
    held = Q(leased()) | Q(state=Delivery.State.RUNNING)
    counts = (
        which.deliveries()
        .order_by("handler")
        .values("handler")
        .annotate(would_discard=Count("id", filter=~held), held=Count("id", filter=held))
    )
    return PurgePreview(
        {row["handler"]: row["would_discard"] for row in counts if row["would_discard"]},
        sum(row["held"] for row in counts),
    )
