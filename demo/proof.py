"""The proof, counted in the database, that every event reached every handler exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from django.conf import settings

from eventbook.database import execute
from eventbook.operate import all_handlers

# The expected deliveries: one for each event since `since` and each handler subscribed to it.
EXPECTED = """
    SELECT subscribed.handler, count(*) FROM eventbook_event
    JOIN unnest(%s::text[], %s::text[]) AS subscribed (type, handler) USING (type)
    WHERE recorded_at >= %s GROUP BY 1
"""
FOUND = """
    SELECT handler, count(DISTINCT event_id) FILTER (WHERE delivery.state = 'done'),
           count(*) FILTER (WHERE delivery.state = 'dead'),
           count(*) - count(DISTINCT event_id)
    FROM eventbook_delivery AS delivery JOIN eventbook_event AS event ON event.id = event_id
    WHERE event.recorded_at >= %s GROUP BY 1
"""
OPEN = """
    SELECT (SELECT count(*) FROM eventbook_outboxentry)
         + (SELECT count(*) FROM eventbook_delivery WHERE due_at IS NOT NULL)
"""
DONE = "SELECT count(*) FROM eventbook_delivery WHERE state = 'done' AND recorded_at >= %s"
# For the readers of this run: the timeline entries that follows and cards imply (`due`), compared
# with those that the handlers wrote (`written`).
TIMELINES = """
    WITH reader AS (SELECT id FROM accounts_user WHERE date_joined >= %s),
    due AS (
        SELECT follow.follower_id AS owner_id, card.id AS card_id,
               rank() OVER (PARTITION BY follow.follower_id ORDER BY card.id DESC) AS place
        FROM accounts_follow AS follow JOIN reader ON reader.id = follow.follower_id
        JOIN cards_card AS card ON card.curator_id = follow.followed_id
        WHERE card.visibility = 'PUBLIC'
    ), written AS (
        SELECT owner_id, card_id FROM feeds_timelineentry JOIN reader ON reader.id = owner_id
    )
    SELECT (SELECT count(*) FROM due WHERE place <= %s),
           (SELECT count(*) FROM due LEFT JOIN written USING (owner_id, card_id)
            WHERE place <= %s AND written.card_id IS NULL),
           (SELECT count(*) FROM written LEFT JOIN due USING (owner_id, card_id)
            WHERE due.card_id IS NULL)
"""
LAST = "SELECT max(finished_at) FROM eventbook_delivery WHERE recorded_at >= %s"


@dataclass(frozen=True)
class HandlerProof:
    """The expected and actual deliveries of one handler."""

    handler: str
    queue: str
    event_name: str
    expected: int
    done: int
    dead: int
    doubled: int

    @property
    def holds(self) -> bool:
        """Return whether every event was delivered exactly once."""
        return self.expected == self.done and not self.dead and not self.doubled


class TimelineProof(NamedTuple):
    """How many timeline entries are due, how many of them are missing, and how many are wrong."""

    due: int
    missing: int
    wrong: int

    @property
    def hold(self) -> bool:
        """Return whether all due entries are there, and no others."""
        return not self.missing and not self.wrong


def by_handler(since: datetime) -> list[HandlerProof]:
    """Return the proof of each handler, for the events since `since`."""
    handlers = all_handlers()
    names = [[handler.event_name for handler in handlers], [handler.name for handler in handlers]]
    expected = dict(_rows(EXPECTED, [*names, since]))
    found = {handler: counts for handler, *counts in _rows(FOUND, [since])}
    return [
        HandlerProof(
            handler.name,
            handler.queue,
            handler.event_name,
            expected.get(handler.name, 0),
            *found.get(handler.name, (0, 0, 0)),
        )
        for handler in handlers
    ]


def timelines(since: datetime) -> TimelineProof:
    """Return the proof of the timelines of the readers who registered since `since`."""
    (counts,) = _rows(TIMELINES, [since, settings.FEED_LENGTH, settings.FEED_LENGTH])
    return TimelineProof(*counts)


def events_by_type(since: datetime) -> list[tuple[str, int]]:
    """Return how many events of each type were recorded since a moment."""
    statement = "SELECT type, count(*) FROM eventbook_event WHERE recorded_at >= %s GROUP BY 1"
    return sorted(_rows(statement, [since]))


def progress(since: datetime) -> tuple[int, int]:
    """Return how many deliveries are done, and how many events and deliveries are still open."""
    ((done,),), ((still_open,),) = _rows(DONE, [since]), _rows(OPEN, [])
    return done, still_open


def now() -> datetime:
    """Return the time by PostgreSQL's clock, which sets all times of the event system."""
    ((moment,),) = _rows("SELECT clock_timestamp()", [])
    return cast(datetime, moment)


def last_done(since: datetime) -> datetime:
    """Return when the last delivery of the events since a moment was finished."""
    ((moment,),) = _rows(LAST, [since])
    return cast(datetime, moment)


def _rows(statement: str, parameters: list[Any]) -> list[Any]:
    return execute(statement, parameters, prepare=False).rows
