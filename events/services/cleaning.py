"""What operators delete: deliveries that are finished for long."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from events.models import Delivery
from events.services.operations import Progress, in_steps, note
from events.sql import execute

# An event without deliveries looks like a forgotten one: to the auditor, and to relays that look
# for what an older release left out (events/subscriptions.py).
SHORTEST = timedelta(hours=1)
FINISHED = (Delivery.State.DONE, Delivery.State.DISCARDED, Delivery.State.DEAD)

# Locked first, so that none is replayed meanwhile.
DELETE = """
    WITH finished AS MATERIALIZED (
        SELECT id FROM events_delivery WHERE id = ANY(%s) AND state = %s
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), attempts AS (
        DELETE FROM events_attempt USING finished WHERE delivery_id = finished.id
    )
    DELETE FROM events_delivery USING finished WHERE events_delivery.id = finished.id
"""


class TooYoung(ValueError):
    """Deliveries are kept for an hour after they ended: say an age of 1h or more."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


def clean(
    queue: str,
    *,
    older_than: timedelta,
    actor: str,
    state: str = Delivery.State.DONE,
    progress: Progress = lambda _: None,
) -> int:
    """Delete a queue's deliveries that ended so in `state` so long ago; return how many.

    Their events stay. Raises TooYoung for less than an hour, and
    ValueError for a state that is not final.
    """
    if older_than < SHORTEST:
        raise TooYoung
    if state not in FINISHED:
        raise ValueError(f"What is {state} is not finished; only {', '.join(FINISHED)} is.")
    details = {"queue": queue, "state": state, "older_than": older_than}
    operation = note("queue.clean", actor, 0, details)
    old = Delivery.objects.filter(queue=queue, state=state, finished_at__lt=Now() - older_than)

    def delete(ids: list[int]) -> int:
        return execute(DELETE, [ids, state]).count

    in_steps(old, delete, operation=operation, progress=progress)
    return operation.count
