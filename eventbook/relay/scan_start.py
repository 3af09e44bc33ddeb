"""Where to begin a scan of a table that serves as a queue."""

from __future__ import annotations

import time
from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager

# A scan begins this far below the lowest row found. A row that is committed more than this long
# after it was recorded waits for the next whole scan.
LATE_SECONDS = 5.0
# The pause after a whole scan, as a multiple of its duration: whole scans take 1 % of the time.
PAUSE_FACTOR = 100
# The longest pause, after however slow a scan.
LONGEST_PAUSE_SECONDS = 30.0


class ScanStart:
    """For each lane of a queue table, the place where a scan begins: seconds since 1970.

    While a session holds an old snapshot (a dump, a forgotten transaction), PostgreSQL keeps
    deleted rows, and a scan from the beginning of a lane steps over all of them. So whole scans,
    from the beginning, are made only as often as is cheap. Until the next one, scans begin
    LATE_SECONDS below the lowest row found in the last whole scan, or in a scan between it and the
    whole scan before. A row below that was committed late or timed by a slow clock; the next whole
    scan finds it.

    Each process has its own.
    """

    def __init__(self) -> None:
        self._starts: dict[Hashable, float] = {}
        self._lowest_found: dict[Hashable, float] = {}
        self._next_whole = 0.0

    @contextmanager
    def scan(self) -> Iterator[Mapping[Hashable, float]]:
        """Yield the place where a scan begins, by lane; a lane not in it is scanned whole."""
        began = time.monotonic()
        whole = began >= self._next_whole
        yield {} if whole else self._starts
        if whole:
            now = time.monotonic()
            self._next_whole = now + min(PAUSE_FACTOR * (now - began), LONGEST_PAUSE_SECONDS)
            lowest, self._lowest_found = self._lowest_found, {}
            self._starts |= {lane: place - LATE_SECONDS for lane, place in lowest.items()}

    def found(self, lane: Hashable, place: float) -> None:
        """Note the place of a row that the scan found in a lane: of the lowest row at least."""
        self._lowest_found[lane] = min(place, self._lowest_found.get(lane, place))
