"""Events that wait for a time: each is held in the outbox until then, and can be cancelled.

The relay turns the event into deliveries when its time has come, under a lock on the outbox entry.
Cancelling takes the same lock, so an event is either cancelled or delivered, never both.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from eventbook.database.statements import execute
from eventbook.deliveries.states import wake_relay

logger = logging.getLogger(__name__)

# Events due within this time wake the relay when their transaction commits. Its polls, twice a
# second, find those that are due later.
SOON_SECONDS = 10

# An event that is cancelled leaves no trace but a line in the log: nobody can replay it, and its
# key can be used again.
CANCEL = """
    WITH cancelled AS (
        DELETE FROM eventbook_outboxentry AS entry USING eventbook_event AS event
        WHERE event.id = entry.event_id AND entry.due_at IS NOT NULL AND {chosen}
        RETURNING event_id
    )
    DELETE FROM eventbook_event USING cancelled WHERE id = event_id RETURNING id, type, key
"""
RESCHEDULE = """
    UPDATE eventbook_outboxentry AS entry
    SET due_at = moment.at, recorded_at = moment.at
    FROM eventbook_event AS event,
         (SELECT greatest(%s::timestamptz, clock_timestamp()) AS at) AS moment
    WHERE event.id = entry.event_id AND entry.due_at IS NOT NULL AND {chosen}
    RETURNING event.id
"""
BY_KEY = "event.key = %s AND event.type = %s"
BY_ID = "event.id = ANY(%s)"


def with_zone(time: datetime) -> datetime:
    """Return a time in UTC; raise ValueError if it has no time zone or is out of range."""
    if time.tzinfo is None:
        raise ValueError("`run_at` needs a time zone: for example datetime.now(UTC) + delay.")
    try:
        return time.astimezone(UTC)
    except OverflowError:  # PostgreSQL would store it, and nobody could read it
        raise ValueError("`run_at` is out of range in UTC.") from None


def cancel_key(key: str, *, type: str) -> bool:
    """Cancel the event of this type and key; return False if it isn't waiting (any more).

    If the relay is just expanding the event, wait until that is committed, and return False.
    """
    return bool(_cancel(BY_KEY, [key, type]))


def cancel_events(ids: Sequence[UUID]) -> int:
    """Cancel those of the events that wait, and return how many."""
    return len(_cancel(BY_ID, [list(ids)]))


def _cancel(chosen: str, parameters: list[Any]) -> list[Any]:
    """Cancel the waiting events that match an SQL condition; return their rows."""
    rows = execute(CANCEL.format(chosen=chosen), parameters).rows
    for id, *_ in rows:
        logger.info("event.cancelled", extra={"event_id": id})
    return rows


def reschedule_key(key: str, *, type: str, run_at: datetime) -> bool:
    """Let the event of this type and key wait for another time; return as `cancel_key` does."""
    return _reschedule(BY_KEY, [key, type], run_at) > 0


def reschedule_events(ids: Sequence[UUID], *, run_at: datetime) -> int:
    """Let those of the events that wait do so for another time, and return how many."""
    return _reschedule(BY_ID, [list(ids)], run_at)


def _reschedule(chosen: str, parameters: list[Any], run_at: datetime) -> int:
    """Let the waiting events that match an SQL condition wait for another time; return how many."""
    statement = RESCHEDULE.format(chosen=chosen)
    count = execute(statement, [with_zone(run_at), *parameters]).count
    if count:
        wake_relay(run_at, within=SOON_SECONDS)
    return count
