"""Where a look into a table begins that serves as a queue."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager

# What commits so much later than it was recorded is found by the next whole look.
LATE_SECONDS = 5.0
# After a whole look, so many times as long until the next: they take a hundredth of the time.
REST, LONGEST_REST_SECONDS = 100, 30.0


class Floor:
    """The lowest places where something was of late, in each lane of a queue.

    While anybody holds an old snapshot (a dump, a forgotten transaction), PostgreSQL keeps what was
    deleted, and who reads a queue from its beginning steps over all of it. So only as many looks as
    are cheap begin there. The others begin a little under what was found since the last but one of
    those. What is lower comes late, or by a clock that is far behind: it waits for the next.

    Places are seconds since 1970. One floor is for one process.
    """

    def __init__(self) -> None:
        self._since: dict[Hashable, float] = {}
        self._lowest: dict[Hashable, float] = {}
        self._next_whole = 0.0

    @contextmanager
    def look(self) -> Iterator[Mapping[Hashable, float]]:
        """Give, by lane, where a look begins; at the beginning, if a lane is not there."""
        began = time.monotonic()
        whole = began >= self._next_whole
        yield {} if whole else self._since
        if whole:
            now = time.monotonic()
            self._next_whole = now + min(REST * (now - began), LONGEST_REST_SECONDS)
            lowest, self._lowest = self._lowest, {}
            self._since |= {lane: place - LATE_SECONDS for lane, place in lowest.items()}

    def found(self, lane: Hashable, place: float) -> None:
        """Note, during a look, what it found in a lane: at least the lowest."""
        self._lowest[lane] = min(place, self._lowest.get(lane, place))
