"""The threads in which Django's code runs."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Made = TypeVar("Made")


class Threads:
    """A fixed number of daemon threads that run functions (*steps*) from one queue.

    They end with the process: a hanging view can't prevent it from stopping.
    """

    def __init__(self, count: int) -> None:
        self._steps: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]]] = (
            queue.SimpleQueue()
        )
        for number in range(count):
            threading.Thread(target=self._work, daemon=True, name=f"django-{number}").start()

    async def run(self, step: Callable[[], Made]) -> Made:
        """Run a function in one of the threads; return its result, or raise its exception."""
        future: asyncio.Future[Made] = asyncio.get_running_loop().create_future()
        self._steps.put((step, future))
        return await future

    def _work(self) -> None:
        while True:
            self._take(*self._steps.get())

    def _take(self, step: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        """Run a function, and hand its result or error to the event loop."""
        made, error = None, None
        try:
            made = step()
        except Exception as raised:
            error = raised
        # The event loop may be closed already: the process is ending.
        with suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(settle, future, made, error)


def settle(future: asyncio.Future[Any], made: Any, error: Exception | None) -> None:
    """Set the result or the error of a future, unless it was cancelled meanwhile."""
    if future.done():
        return
    if error is None:
        future.set_result(made)
    else:
        future.set_exception(error)
