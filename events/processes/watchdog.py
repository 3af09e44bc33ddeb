"""The end of a process that has got stuck: supervisors start anew what ends, and nothing else."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import suppress

from events.processes import figures
from events.processes.vitals import Vitals

logger = logging.getLogger(__name__)

# A machine that was suspended, or a look that took long, lets no more time count than this.
MOST_BETWEEN_LOOKS = 5.0  # seconds


class Watchdog:
    """It counts for how long the health check of its own process has failed without a break.

    Whoever waits for a server that is down is well, and is not ended. Whatever a process has in
    hand is delivered by others, as after any death (ADR 0003).
    """

    def __init__(self, vitals: Vitals) -> None:
        self.vitals = vitals
        self._looked = time.monotonic()
        self._stalled_for = 0.0

    def look(self) -> None:
        """End the process if it has been stalled for WATCHDOG_SECONDS."""
        before, self._looked = self._looked, time.monotonic()
        if not (reason := self.vitals.stalled()):
            self._stalled_for = 0.0
            return
        self._stalled_for += min(self._looked - before, MOST_BETWEEN_LOOKS)
        if 0 < self.vitals.watchdog_seconds <= self._stalled_for:
            logger.critical("process.stalled", extra={"error": reason})
            end_family()


def end_family() -> None:
    """End the process and its children, with no warning: they may hang as well."""
    for pid in figures.family(os.getpid())[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(1)
