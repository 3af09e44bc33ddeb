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
MOST_BETWEEN_CHECKS = 5.0  # seconds


class Watchdog:
    """A timer of how long this process has been stalled without a break.

    A process that waits for a server is not stalled. After the end of a process, other workers
    deliver what it held, as after any crash (record 3).
    """

    def __init__(self, vitals: Vitals) -> None:
        self.vitals = vitals
        self._checked_at = time.monotonic()
        self._stalled_for = 0.0

    def check(self) -> None:
        """End the process if it has been stalled for WATCHDOG_SECONDS."""
        before, self._checked_at = self._checked_at, time.monotonic()
        if not (reason := self.vitals.stalled()):
            self._stalled_for = 0.0
            return
        self._stalled_for += min(self._checked_at - before, MOST_BETWEEN_CHECKS)
        if 0 < self.vitals.watchdog_seconds <= self._stalled_for:
            logger.critical("process.stalled", extra={"error": reason})
            end_process_tree()


def end_process_tree() -> None:
    """Kill this process and its descendants at once: in cleaning up, they might hang again."""
    for pid in figures.process_tree(os.getpid())[1:]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os._exit(1)
