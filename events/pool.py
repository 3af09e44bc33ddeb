"""Celery's prefork pool, with a shorter way from the broker to a child."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.concurrency import prefork

# A task that comes alone is with its child now: what else its main process has to do, such as to
# ask for the next message, would take the processor from it, and waits so long.
ASIDE_SECONDS = 0.002
ALONE_SECONDS = 0.01  # since the one before


class Pool(prefork.TaskPool):  # type: ignore[misc]
    """A pool that hands a task to an idle child at once.

    Celery's does so in the next turn of its event loop, when it has asked the broker for the next
    message and the kernel which pipes have room: that of an idle child has.
    """

    _hand_out: Callable[[list[int]], object] | None = None
    _handed_out_at = 0.0

    def register_with_event_loop(self, loop: Any) -> None:
        """Keep what writes tasks to pipes, which the loop would call."""
        super().register_with_event_loop(loop)
        self._hand_out = loop.consolidate_callback

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Take a task, and hand it out if a child is idle."""
        result = super().apply_async(*args, **options)
        pool = self._pool
        idle = pool._all_inqueues - pool._busy_workers - pool._active_writes  # noqa: SLF001
        if idle and self._hand_out is not None:
            self._hand_out(list(idle))
            before, self._handed_out_at = self._handed_out_at, time.monotonic()
            if self._handed_out_at > before + ALONE_SECONDS:
                time.sleep(ASIDE_SECONDS)
        return result
