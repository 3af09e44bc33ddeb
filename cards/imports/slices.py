"""Reading within bounds: of time for each step, and in slices between which others have a turn."""

from __future__ import annotations

import signal
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from cards import limits
from cards.imports.errors import Unreadable
from cards.imports.items import Row

STEP_SECONDS = 20.0  # of the processor, for as many rows as are read at a time
SLICE_SECONDS = 1.0  # until others have a turn, if somebody waits
STEP_ROWS = 100
TOO_SLOW = "Reading it takes too long; divide it, and hand in the parts."


class _TooSlow(BaseException):
    """A step takes too long; no parser may take this for an error of its own."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """End what takes more time of the processor than this; raises Unreadable.

    The alarm reaches the main thread only, where workers run their tasks. It interrupts regular
    expressions, too. It comes again, should something have caught it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _stop)
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)
        yield
    except _TooSlow:
        raise Unreadable("too_slow", TOO_SLOW) from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _stop(number: int, frame: Any) -> None:
    raise _TooSlow


@dataclass
class Stopwatch:
    """How much time of the processor the reading of one file has taken, without its pauses."""

    spent: float = 0.0
    since: float | None = None

    def seconds(self) -> float:
        """Return the time until now."""
        running = 0.0 if self.since is None else time.process_time() - self.since
        return self.spent + running

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure what is done in a block."""
        self.since = time.process_time()
        try:
            yield
        finally:
            self.spent, self.since = self.seconds(), None


def steps(found: Iterator[Row], watch: Stopwatch) -> Iterator[list[Row]]:
    """Yield rows, up to 100 at a time; raises Unreadable when a step takes too long, at its end."""
    while True:
        some: list[Row] = []
        fault = None
        try:
            with watch.running(), within(STEP_SECONDS):
                began = time.monotonic()
                for row in found:
                    some.append(row)
                    if len(some) == STEP_ROWS or time.monotonic() - began > SLICE_SECONDS:
                        break
        except Unreadable as reason:
            fault = reason
        if some:
            yield some
        if fault:
            raise fault
        if not some:
            return


@dataclass
class Opened:
    """A file that is being read; `work` does the next step whenever it is asked for it."""

    work: Iterator[None]
    read: int  # rows that were read when it was put aside
    size: int  # of the file, in bytes


@dataclass
class Aside:
    """Files that this process has put aside in the middle, so that it need not begin again.

    No more than the largest file has bytes: that bounds the memory. What is not here any more is
    read from its beginning, passing over the rows that are counted.
    """

    files: OrderedDict[UUID, Opened] = field(default_factory=OrderedDict)

    def put(self, id: UUID, opened: Opened) -> None:
        """Keep a file; the oldest go if there are too many."""
        self.files[id] = opened
        while sum(each.size for each in self.files.values()) > limits.IMPORT_BYTES:
            self.files.popitem(last=False)

    def take(self, id: UUID, *, read: int) -> Opened | None:
        """Return a file, unless another process has read on in it."""
        found = self.files.pop(id, None)
        return found if found and found.read == read else None


aside = Aside()
