"""Vitals: what a process knows of its own health, and whether it makes progress."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from eventbook.conf import conf

# The names of the servers that may not respond to a process.
DATABASE, BROKER = "the database", "the broker"


class Status(StrEnum):
    """How a process is, in one word."""

    OK = "ok"
    # A server is down. The process goes on when the server is back.
    WAITING = "waiting"
    # The process has made no progress for too long.
    STALLED = "stalled"


@dataclass(frozen=True)
class Health:
    """The result of a health check: the status, and the reason if it is not OK."""

    status: Status
    reason: str = ""

    @property
    def well(self) -> bool:
        """Return whether the process is not stalled; one that waits for a server is well."""
        return self.status != Status.STALLED


class Vitals:
    """The vitals of one process, written and read by its own threads.

    This base class is for a process without a loop of its own: it is well as long as it runs.
    """

    queues: Sequence[str] = ()
    # The number of live streams that it holds open (eventbook/stream).
    streams = 0

    def __init__(self) -> None:
        self.servers_down: set[str] = set()  # those that do not respond to this process

    @property
    def concurrency(self) -> int:
        """Return how many batches the process runs at once."""
        return 1

    def check(self) -> None:
        """Run the checks that query a server; a thread calls this about once a second."""

    def stalled(self) -> str:
        """Return why the process counts as stalled, or "" if it does not."""
        return ""

    def trouble(self) -> str:
        """Return what is wrong now, or ""; subclasses include what has not yet lasted long."""
        return self.stalled()

    @property
    def watchdog_seconds(self) -> float:
        """How long the process may be stalled before it ends itself; 0 if it never does."""
        return float(conf.WATCHDOG_SECONDS)

    def idle_seconds(self) -> float:
        """Return how long ago the process last made progress."""
        return 0.0

    def health(self) -> Health:
        """Check the health of the process; needs no server."""
        if reason := self.stalled():
            return Health(Status.STALLED, reason)
        if self.servers_down:
            return Health(Status.WAITING, f"waiting for {' and '.join(sorted(self.servers_down))}")
        return Health(Status.OK)


class Pulse(Vitals):
    """The vitals of a process that runs in rounds, such as a relay or beat.

    Its last sign of life is the end of a round, even of one that failed because a server is down.
    """

    def __init__(self) -> None:
        super().__init__()
        self._progressed = self._last_sign = time.monotonic()
        self._next_round_within = 0.0

    def progress(self, *, next_round_within: float = 0.0) -> None:
        """Note the end of a round; the next one begins within `next_round_within` seconds."""
        self._progressed = self._last_sign = time.monotonic()
        self._next_round_within = next_round_within
        self.servers_down.clear()

    def wait_for(self, server: str) -> None:
        """Note that a round failed because the named server is down."""
        self._last_sign = time.monotonic()
        self._next_round_within = 0.0
        self.servers_down.add(server)

    def stalled(self) -> str:
        """Return why the process counts as stalled, or ""."""
        silent = time.monotonic() - self._last_sign
        if silent > self._next_round_within + conf.HEALTH_STALL_SECONDS:
            return f"nothing was finished for {silent:.0f} s"
        return ""

    def idle_seconds(self) -> float:
        return max(time.monotonic() - self._progressed - self._next_round_within, 0.0)


class Symptoms:
    """The present symptoms of a process, and since when each has been present."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def note(self, name: str, *, present: bool) -> None:
        """Note whether a symptom is present now."""
        if present:
            self._since.setdefault(name, time.monotonic())
        else:
            self._since.pop(name, None)

    def lasting(self) -> dict[str, float]:
        """Return how long each present symptom has lasted, in seconds."""
        now = time.monotonic()
        return {name: now - since for name, since in list(self._since.items())}
