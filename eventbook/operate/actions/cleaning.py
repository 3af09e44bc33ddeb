"""The operators' action that deletes deliveries which were finished long ago."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from eventbook.database.statements import execute
from eventbook.models import Delivery
from eventbook.operate.actions.operations import Progress, no_progress, record_in_batches

# Soon after an event, missing deliveries mean a fault to the auditor, and to relays that add what
# an older release left out (deliveries/subscriptions.py). They must not be deleted that early.
SHORTEST = timedelta(hours=1)
FINISHED = (Delivery.State.DONE, Delivery.State.DISCARDED, Delivery.State.DEAD)

# Rows are locked before they are deleted, so that no replay can reopen one in between.
DELETE = """
    WITH finished AS MATERIALIZED (
        SELECT id FROM eventbook_delivery WHERE id = ANY(%s) AND state = %s
        ORDER BY id FOR UPDATE SKIP LOCKED
    ), attempts AS (
        DELETE FROM eventbook_attempt USING finished WHERE delivery_id = finished.id
    )
    DELETE FROM eventbook_delivery USING finished WHERE eventbook_delivery.id = finished.id
"""


class TooYoung(ValueError):
    """Deliveries are kept for an hour after they finish: give an age of 1h or more."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


def clean(
    queue: str,
    *,
    older_than: timedelta,
    actor: str,
    state: str = Delivery.State.DONE,
    progress: Progress = no_progress,
) -> int:
    """Delete a queue's deliveries that reached `state` more than `older_than` ago; return how many.

    Their events stay. Work in small transactions; `progress` is called after each with the count
    so far. Raise TooYoung for an age under an hour, ValueError for a state that is not final.
    """
    if older_than < SHORTEST:
        raise TooYoung
    if state not in FINISHED:
        raise ValueError(f"{state} is not a final state: choose one of {', '.join(FINISHED)}.")
    details = {"queue": queue, "state": state, "older_than": older_than}
    old = Delivery.objects.filter(queue=queue, state=state, finished_at__lt=Now() - older_than)

    def delete(ids: list[int]) -> int:
        return execute(DELETE, [ids, state]).count

    return record_in_batches("queue.clean", actor, details, old, delete, progress)
