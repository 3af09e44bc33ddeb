"""Limit the CPU time of reading, and divide reading into slices.

A *step* reads up to 100 rows within a limit of CPU time. A *slice* is about a second of reading,
after which other work of the queue gets the worker.
"""

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

from imports import limits
from imports.files.errors import Unreadable
from imports.files.items import Problem, Row

STEP_SECONDS = 20.0  # CPU time allowed for one step
SLICE_SECONDS = 1.0  # how long one import is read while others wait
STEP_ROWS = 100
TOO_SLOW = "Reading this file takes too long. Divide it and import the parts."


class _TooSlow(BaseException):
    """A step takes too long. A BaseException, so that parsers don't catch it as their own error."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise Unreadable if the block takes more CPU seconds than this.

    The limit is a signal (SIGPROF), which also interrupts regular expressions, and repeats every
    second in case it was caught. Signals only reach the main thread, where workers run their tasks;
    in other threads there is no limit.
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
    """The CPU time spent on reading one file, without its pauses."""

    spent: float = 0.0
    since: float | None = None

    def seconds(self) -> float:
        """Return the CPU seconds so far."""
        running = 0.0 if self.since is None else time.process_time() - self.since
        return self.spent + running

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add the CPU time of a block."""
        self.since = time.process_time()
        try:
            yield
        finally:
            self.spent, self.since = self.seconds(), None


def steps(found: Iterator[Row], watch: Stopwatch) -> Iterator[list[Row]]:
    """Yield rows in lists of up to STEP_ROWS. Raise Unreadable after a step that takes too long."""
    while True:
        some: list[Row] = []
        fault = None
        try:
            with watch.running(), cpu_limit(STEP_SECONDS):
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


def limited_rows(found: Iterator[Row], watch: Stopwatch) -> Iterator[Row]:
    """Yield rows up to the limits of number and CPU time; if reading ends early, yield a problem.

    Raise Unreadable only if not even one row can be read.
    """
    count = 0
    try:
        for count, row in enumerate(found, start=1):
            if count > limits.IMPORT_ROWS:
                message = f"Only the first {limits.IMPORT_ROWS} rows are imported."
                yield Problem(line=row.line, code="too_many", detail=message)
                return
            if watch.seconds() > limits.IMPORT_SECONDS:
                message = f"Reading stopped here: it took over {limits.IMPORT_SECONDS:.0f} s."
                yield Problem(line=row.line, code="too_slow", detail=message)
                return
            yield row
    except Unreadable as reason:
        if count == 0:
            raise
        yield reason.as_problem()
    except RecursionError:
        yield Problem(line=0, code="too_deep", detail="The rest is nested too deeply to be read.")


@dataclass
class OpenFile:
    """A file that is being read: each `next(work)` reads further."""

    work: Iterator[None]
    read: int  # the number of rows read when the file was kept
    size: int  # in bytes


@dataclass
class OpenFiles:
    """Partly read files that this process keeps open, so that it need not start over.

    To bound memory, they hold IMPORT_BYTES together, the limit of a single file. A file that was
    dropped is parsed from its beginning again, skipping the rows that are counted.
    """

    files: OrderedDict[UUID, OpenFile] = field(default_factory=OrderedDict)

    def put(self, id: UUID, file: OpenFile) -> None:
        """Keep a file; drop the oldest ones while all are too large together."""
        self.files[id] = file
        while sum(each.size for each in self.files.values()) > limits.IMPORT_BYTES:
            self.files.popitem(last=False)

    def pop(self, id: UUID, *, read: int) -> OpenFile | None:
        """Remove a file, and return it if it was kept after this many rows (`read`), else None.

        Another process may have read further since.
        """
        found = self.files.pop(id, None)
        return found if found and found.read == read else None


open_files = OpenFiles()
