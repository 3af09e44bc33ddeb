"""Admission: refuse new bulk work while the backlog of bulk work is full.

Interactive work is never refused: people can't make enough of it to endanger the database.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from eventbook.conf import conf
from eventbook.database.statements import execute
from eventbook.declare.queues import all_policies
from eventbook.models import Priority

FRESH_SECONDS = 1.0  # how long a process trusts its last count
DRAIN_SECONDS = 10  # the period over which the delivery rate is measured
SHORTEST_WAIT, LONGEST_WAIT = 5, 300  # seconds, in Retry-After
DEFAULT_WAIT = 30  # seconds, if no bulk work was delivered in that period


class BacklogFull(Exception):
    """The backlog of bulk work is full; the client may try again in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too much bulk work is waiting. Nothing of this request was saved.")
        self.retry_after = retry_after


@dataclass
class BacklogCache:
    """A process's cached count of the backlog: when it was read, and whether it was full."""

    counted_at: float = float("-inf")
    retry_after: int = 0  # 0 while there is room

    def seconds_until_room(self, now: float) -> int:
        """Return how many seconds a client must wait, 0 if none; count at most once a second."""
        if now - self.counted_at >= FRESH_SECONDS:
            limit: int = conf.BULK_BACKLOG_LIMIT
            self.retry_after = seconds_to_wait(limit) if open_bulk_work(limit) >= limit else 0
            self.counted_at = now
        return self.retry_after


backlog = BacklogCache()


def admit_bulk_work() -> None:
    """Raise BacklogFull while BULK_BACKLOG_LIMIT bulk events and deliveries are open.

    The count may be a second old, so one second's requests can exceed the limit.
    """
    if retry_after := backlog.seconds_until_room(time.monotonic()):
        raise BacklogFull(retry_after)


# Each count reads an index only, and stops at the limit.
OPEN = """
    SELECT (SELECT count(*) FROM (
                SELECT FROM eventbook_outboxentry
                WHERE priority = %(bulk)s LIMIT %(limit)s) AS entry)
         + (SELECT count(*) FROM (
                SELECT FROM eventbook_delivery WHERE queue = ANY(%(queues)s) AND priority = %(bulk)s
                    AND due_at IS NOT NULL LIMIT %(limit)s) AS delivery)
"""


def open_bulk_work(limit: int) -> int:
    """Return how many bulk events and deliveries are open, counting at most `limit` of each."""
    queues = list(all_policies())
    parameters: dict[str, Any] = {"bulk": Priority.BULK, "queues": queues, "limit": limit}
    ((count,),) = execute(OPEN, parameters, prepare=False).rows
    return int(count)


DELIVERED = """
    SELECT count(*) FROM eventbook_delivery
    WHERE priority = %s AND finished_at > now() - %s * interval '1 second'
"""


def seconds_to_wait(limit: int) -> int:
    """Return how many seconds it takes to deliver a tenth of the limit, at the present rate."""
    ((delivered,),) = execute(DELIVERED, [Priority.BULK, DRAIN_SECONDS], prepare=False).rows
    if not delivered:
        return DEFAULT_WAIT
    seconds = round(limit / 10 * DRAIN_SECONDS / int(delivered))
    return min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)
