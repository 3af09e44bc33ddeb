"""The threads in which Django works."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Made = TypeVar("Made")


class Threads:
    """A few threads that take steps in turn; they end with their process."""

    def __init__(self, count: int) -> None:
        self._steps: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = (
            queue.SimpleQueue()
        )
        for number in range(count):
            threading.Thread(target=self._work, daemon=True, name=f"django-{number}").start()

    async def run(self, step: Callable[[], Made]) -> Made:
        """Return what the step returns, in one of the threads."""
        future: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
        self._steps.put((step, future))
        return await future

    def _work(self) -> None:
        while True:
            self._take(*self._steps.get())

    def _take(self, step: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        made, error = None, None
        try:
            made = step()
        except Exception as raised:
            error = raised
        # The loop is closed when the process ends.
        with suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(settle, future, made, error)


def settle(future: asyncio.Future[Any], made: Any, error: Exception | None) -> None:
    """Give the result to whoever waits for it; nobody does if the process has to stop."""
    if future.done():
        return
    if error is None:
        future.set_result(made)
    else:
        future.set_exception(error)
