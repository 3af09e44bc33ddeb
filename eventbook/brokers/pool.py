"""Celery's prefork pool, changed so that a task reaches an idle child process sooner."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from celery.concurrency import prefork

# The main process sleeps this long after it has handed out a single task, so that the child gets
# the CPU; work such as requesting the next message waits.
LET_CHILD_RUN_SECONDS = 0.002
ALONE_SECONDS = 0.01  # a task is single if no other was handed out this short a time before


class Pool(prefork.TaskPool):  # type: ignore[misc]
    """A pool that hands a task to an idle child at once.

    Celery does so only in the next iteration of its event loop, after it has requested the next
    message and polled which pipes have room. An idle child's pipe always has room.
    """

    _write_to: Callable[[list[int]], object] | None = None
    _handed_out_at = 0.0

    def register_with_event_loop(self, loop: Any) -> None:
        """Keep the loop's function that writes tasks to the children's pipes, for `apply_async`."""
        super().register_with_event_loop(loop)
        self._write_to = loop.consolidate_callback

    def apply_async(self, *args: Any, **options: Any) -> Any:
        """Queue a task, and hand it out at once if a child is idle."""
        result = super().apply_async(*args, **options)
        pool = self._pool
        idle = pool._all_inqueues - pool._busy_workers - pool._active_writes  # noqa: SLF001
        if idle and self._write_to is not None:
            self._write_to(list(idle))
            before, self._handed_out_at = self._handed_out_at, time.monotonic()
            if self._handed_out_at > before + ALONE_SECONDS:
                time.sleep(LET_CHILD_RUN_SECONDS)
        return result
