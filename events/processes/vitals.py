"""What a process knows of itself: whether it gets on with its work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings


class Status(StrEnum):
    """What a health check finds."""

    OK = "ok"
    # A server is down. That is no fault of the process: it goes on by itself.
    WAITING = "waiting"
    STALLED = "stalled"


@dataclass(frozen=True)
class Health:
    """What a health check answers."""

    status: Status
    reason: str = ""

    @property
    def well(self) -> bool:
        """Return whether the process is as well as it can be."""
        return self.status != Status.STALLED


class Vitals:
    """The signs of life of one process, which its own threads note and look at.

    This one, of a process without a loop of its own, is well while it lives.
    """

    queues: Sequence[str] = ()
    # Live streams that it holds open (events/stream).
    streams = 0

    def __init__(self) -> None:
        # The servers that do not answer this process.
        self.missing: set[str] = set()

    @property
    def concurrency(self) -> int:
        """Return how much the process does at once."""
        return 1

    def look(self) -> None:
        """Look at what can't be noted; it is called about once a second, by a thread."""

    def stalled(self) -> str:
        """Return what has not gone on for too long, or nothing."""
        return ""

    def trouble(self) -> str:
        """Return what is wrong, even if it has not lasted long, or nothing."""
        return self.stalled()

    @property
    def watchdog_seconds(self) -> float:
        """The time after which a process that is stalled ends itself; 0 for never."""
        return float(settings.WATCHDOG_SECONDS)

    def idle_seconds(self) -> float:
        """Return how long ago the process last did what it is for."""
        return 0.0

    def health(self) -> Health:
        """Return whether the process is well, and if not, why."""
        if reason := self.stalled():
            return Health(Status.STALLED, reason)
        if self.missing:
            return Health(Status.WAITING, f"waiting for {' and '.join(sorted(self.missing))}")
        return Health(Status.OK)


class Pulse(Vitals):
    """The vitals of a process that does the same again and again: a relay, a beat."""

    def __init__(self) -> None:
        super().__init__()
        self._progressed = self._signed = time.monotonic()
        self._silent_for = 0.0

    def progress(self, *, silent_for: float = 0.0) -> None:
        """Note that a round has ended; the next may need so many seconds to begin."""
        self._progressed = self._signed = time.monotonic()
        self._silent_for = silent_for
        if self.missing:
            self.missing.clear()

    def wait_for(self, server: str) -> None:
        """Note that a round failed because a server is down."""
        self._signed = time.monotonic()
        self._silent_for = 0.0
        self.missing.add(server)

    def stalled(self) -> str:
        silent = time.monotonic() - self._signed
        if silent > self._silent_for + settings.HEALTH_STALL_SECONDS:
            return f"nothing was finished for {silent:.0f} s"
        return ""

    def idle_seconds(self) -> float:
        return max(time.monotonic() - self._progressed - self._silent_for, 0.0)


class Symptoms:
    """What is not as it should be, and since when."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def note(self, name: str, *, present: bool) -> None:
        """Note whether a symptom is there now."""
        if present:
            self._since.setdefault(name, time.monotonic())
        else:
            self._since.pop(name, None)

    def lasting(self) -> dict[str, float]:
        """Return for how many seconds each has lasted."""
        now = time.monotonic()
        return {name: now - since for name, since in list(self._since.items())}
