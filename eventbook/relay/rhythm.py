"""The relay's rhythm: how much it claims at once, how long it waits, when housekeeping is due.

This module needs neither a database nor a broker, and tests can give a rhythm a clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from eventbook.models import Priority

CLAIM_LIMIT = 2_000  # interactive outbox entries claimed in one step
BULK_LIMIT = 200  # bulk entries in one step; small, since interactive events wait for its end
IDLE_SECONDS = 0.5  # between two polls of the outbox without a notification
# The wait for the commits of writers who saw notifications stopped, after they are allowed again.
LAST_POLL_SECONDS = 0.03
# After a step with several events, wait this long for each of them: under load the next batch is
# then larger, and each event costs less. After a single event there is no such wait.
GATHER_SECONDS_PER_EVENT = 0.0012
LONGEST_GATHER_SECONDS = 0.1
MANY_EVENTS = 256  # after a step with this many events, don't wait for more
DUE_SECONDS = 0.5  # between two polls for pauses, retries, lost messages and expired leases
# The same if a retry or a delayed event is due sooner: at most this often, however many there are.
SHORTEST_DUE_SECONDS = 0.02
CATCH_UP_SECONDS = 15.0  # between two checks for deliveries that an older release left out
DEPTHS_SECONDS = 0.5  # between two polls of the lanes' lengths in the broker
BUSY_DEPTHS_SECONDS = 0.05  # the same if a lane may be half full


@dataclass
class Timer:
    """Say when a repeated duty is due: at first, and `seconds` after each restart."""

    seconds: float
    clock: Callable[[], float]
    started: float = -inf

    def is_due(self, seconds: float | None = None) -> bool:
        """Return whether `seconds` have passed since the last restart; by default, the timer's."""
        return self.clock() >= self.started + (self.seconds if seconds is None else seconds)

    def restart(self) -> None:
        """Count from now."""
        self.started = self.clock()

    def expire(self) -> None:
        """Make the duty due now."""
        self.started = -inf

    def shorten(self, seconds: float) -> None:
        """Make the duty due in `seconds`, unless it is due sooner."""
        self.started = min(self.started, self.clock() + seconds - self.seconds)

    @property
    def seconds_left(self) -> float:
        """Return in how many seconds the duty is due; 0 if it is due."""
        return max(self.started + self.seconds - self.clock(), 0.0)


class Rhythm:
    """What one relay does next, by what its last step found."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.due_timer = Timer(DUE_SECONDS, clock)
        self.catch_up_timer = Timer(CATCH_UP_SECONDS, clock)
        self.depths_timer = Timer(DEPTHS_SECONDS, clock)
        # The number of interactive events in the last step.
        self.interactive = 0
        # Whether the last step left bulk entries in the outbox.
        self.bulk_is_left = False
        # Whether the last step left any work.
        self.work_is_left = False

    def note_claimed(self, entries: Mapping[int, int]) -> None:
        """Note how many outbox entries of each priority a step has claimed."""
        self.interactive = entries.get(Priority.INTERACTIVE, 0)
        self.bulk_is_left = entries.get(Priority.BULK, 0) == BULK_LIMIT
        self.work_is_left = self.bulk_is_left or self.interactive == CLAIM_LIMIT

    @property
    def is_busy(self) -> bool:
        """Return whether the next step probably claims many entries."""
        return self.work_is_left or self.interactive >= MANY_EVENTS

    @property
    def gather_seconds(self) -> float:
        """Return how long to gather events before the next step; 0 to wait for a notification."""
        if 1 < self.interactive < MANY_EVENTS:
            return min(self.interactive * GATHER_SECONDS_PER_EVENT, LONGEST_GATHER_SECONDS)
        return 0.0
