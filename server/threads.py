"""The threads in which Django's code runs."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


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

    async def run(self, step: Callable[[], Result]) -> Result:
        """Run a function in one of the threads; return its result, or raise its exception."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._steps.put((step, future))
        return await future

    def _work(self) -> None:
        while True:
            self._run_step(*self._steps.get())

    def _run_step(self, step: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        """Run a function, and hand its result or error to the event loop."""
        result, error = None, None
        try:
            result = step()
        except Exception as raised:
            error = raised
        except BaseException as raised:
            # For example SystemExit: it would end the thread, or the whole event loop.
            error = RuntimeError(f"A request ended with {type(raised).__name__}.")
            error.__cause__ = raised
        # The event loop may be closed already: the process is ending.
        with suppress(RuntimeError):
            future.get_loop().call_soon_threadsafe(set_result, future, result, error)


def set_result(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    """Set the result or the error of a future, unless it was cancelled meanwhile."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
