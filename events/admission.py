"""Whether there is room for more bulk work; it is refused before the store is in danger.

Interactive work is never refused: there is no more of it than people can make.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection

from events.models import Priority
from events.queues import all_policies

FRESH_SECONDS = 1.0  # so long a process believes what it has counted
DRAIN_SECONDS = 10  # the time over which the rate of delivery is measured
SHORTEST_WAIT, LONGEST_WAIT = 5, 300
USUAL_WAIT = 30  # when nothing at all is being delivered


class BacklogFull(Exception):
    """Too much bulk work is open already; come again in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too much bulk work waits at the moment; nothing of this was taken.")
        self.retry_after = retry_after


@dataclass
class Backlog:
    """What one process knows of the backlog: whether it is full, and since when it knows."""

    looked_at: float = float("-inf")
    retry_after: int = 0  # 0 while there is room

    def look(self, now: float) -> int:
        """Return in how many seconds to come again, 0 for now; ask once a second."""
        if now - self.looked_at >= FRESH_SECONDS:
            limit: int = settings.BULK_BACKLOG_LIMIT
            self.retry_after = seconds_to_wait(limit) if open_bulk_work(limit) >= limit else 0
            self.looked_at = now
        return self.retry_after


backlog = Backlog()


def admit_bulk_work() -> None:
    """Raise BacklogFull while BULK_BACKLOG_LIMIT events and deliveries of bulk work are open.

    What is let in within a second of a count comes on top, so leave room for that.
    """
    if retry_after := backlog.look(time.monotonic()):
        raise BacklogFull(retry_after)


# Both from an index alone, and no more rows than matter.
OPEN = """
    SELECT (SELECT count(*) FROM (
                SELECT FROM events_outboxentry WHERE priority = %(bulk)s LIMIT %(limit)s) AS entry)
         + (SELECT count(*) FROM (
                SELECT FROM events_delivery WHERE queue = ANY(%(queues)s) AND priority = %(bulk)s
                    AND due_at IS NOT NULL LIMIT %(limit)s) AS delivery)
"""


def open_bulk_work(limit: int) -> int:
    """Return how many events and deliveries of bulk work are open, counting to the limit."""
    queues = list(all_policies())
    parameters: dict[str, Any] = {"bulk": Priority.BULK, "queues": queues, "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(OPEN, parameters)
        (count,) = cursor.fetchone()
    return int(count)


DELIVERED = """
    SELECT count(*) FROM events_delivery
    WHERE priority = %s AND finished_at > now() - %s * interval '1 second'
"""


def seconds_to_wait(limit: int) -> int:
    """Return how long it takes to work off a tenth of the limit, at the present rate."""
    with connection.cursor() as cursor:
        cursor.execute(DELIVERED, [Priority.BULK, DRAIN_SECONDS])
        (delivered,) = cursor.fetchone()
    if not delivered:
        return USUAL_WAIT
    seconds = round(limit / 10 * DRAIN_SECONDS / int(delivered))
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
