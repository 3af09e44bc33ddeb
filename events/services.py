"""What operators do to deliveries. Each act is written down as an Operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from events.models import Delivery, Operation, Priority
from events.queues import all_policies, policy_of
from events.registry import handlers

REPLAY_STEP = 10_000  # events a transaction


class UnknownHandler(Exception):
    """No handler of this name is registered."""


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


REPLAY = """
    WITH chosen AS (
        SELECT id FROM events_event
        WHERE type = %(type)s AND id > %(after)s
          AND (%(event)s::uuid IS NULL OR id = %(event)s)
          AND (%(since)s::timestamptz IS NULL OR recorded_at >= %(since)s)
        ORDER BY id LIMIT %(step)s
    ), queued AS (
        INSERT INTO events_delivery AS delivery
            (event_id, handler, queue, state, priority, due_at, recorded_at)
        SELECT id, %(handler)s, %(queue)s, 'queued', %(bulk)s, now(), now() FROM chosen
        ON CONFLICT (event_id, handler, part) DO UPDATE
        SET state = 'queued', queue = excluded.queue, priority = excluded.priority,
            attempts = 0, publications = 0, due_at = now(), recorded_at = now(),
            finished_at = NULL, error = ''
        WHERE delivery.state IN ('done', 'dead', 'discarded')
        RETURNING 1
    )
    SELECT (SELECT count(*) FROM queued), (SELECT id FROM chosen ORDER BY id DESC LIMIT 1)
"""


def replay(
    *, handler: str, actor: str, since: datetime | None = None, event: UUID | None = None
) -> int:
    """This delivers stored events to one handler again, and answers how many.

    It serves a new handler that must see the past, and one whose effects were lost. Replays are
    bulk work: they wait behind what people do now. Raises UnknownHandler.
    """
    if handler not in handlers:
        names = ", ".join(sorted(handlers))
        raise UnknownHandler(f"There is no handler {handler!r}. The handlers are: {names}.")
    known = handlers[handler]
    parameters: dict[str, Any] = {
        "type": known.event_name,
        "handler": known.name,
        "queue": known.queue,
        "since": since,
        "event": event,
        "step": REPLAY_STEP,
        "bulk": Priority.BULK,
        "after": UUID(int=0),
    }
    count = 0
    while parameters["after"] is not None:
        with connection.cursor() as cursor:
            cursor.execute(REPLAY, parameters)
            queued, parameters["after"] = cursor.fetchone()
        count += queued
    _note("replay", actor, count, {"handler": handler, "since": since, "event": event})
    return count


def _note(action: str, actor: str, count: int, details: dict[str, Any]) -> None:
    texts = {
        name: value if isinstance(value, list) else str(value)
        for name, value in details.items()
        if value is not None
    }
    Operation.objects.create(action=action, actor=actor, count=count, details=texts)


# Ids, unlike times, are unique: the newest `keep` done deliveries stay, whatever their times.
PRUNE = """
    DELETE FROM events_delivery WHERE id IN (
        SELECT id FROM events_delivery
        WHERE queue = %(queue)s AND state = 'done' AND id <= (
            SELECT id FROM events_delivery WHERE queue = %(queue)s AND state = 'done'
            ORDER BY id DESC OFFSET %(keep)s LIMIT 1
        )
        ORDER BY id LIMIT %(step)s
    )
"""


def prune() -> dict[str, int]:
    """This deletes done deliveries beyond what each queue keeps; answers how many by queue.

    Events stay: they are the store. Dead letters stay until an operator decides.
    """
    pruned = {}
    for queue in all_policies():
        numbers: dict[str, Any] = {
            "queue": queue,
            "keep": policy_of(queue).keep_done,
            "step": REPLAY_STEP,
        }
        pruned[queue] = 0
        while True:
            with connection.cursor() as cursor:
                cursor.execute(PRUNE, numbers)
                pruned[queue] += cursor.rowcount
                if cursor.rowcount < REPLAY_STEP:
                    break
    return pruned
