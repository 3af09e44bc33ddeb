"""The watchdog, which ends a stuck process: a supervisor restarts only processes that end."""

from __future__ import annotations

import logging
import os
import signal
import time
from contextlib import suppress

from eventbook.observe import figures
from eventbook.observe.vitals import Vitals

logger = logging.getLogger(__name__)

# The longest time that counts between two checks, which may be much longer apart: the machine may
# have been suspended.
MOST_BETWEEN_LOOKS = 5.0  # seconds


class Watchdog:
    """A timer of how long this process has been stalled without a break.

    A process that waits for a server is not stalled. After the end of a process, other workers
    deliver what it held, as after any crash (ADR 0003).
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
    """Kill this process and its descendants at once: in cleaning up, they might hang again."""
    for pid in figures.family(os.getpid())[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(1)
