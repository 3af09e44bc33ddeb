"""Celery's worker, with an end that nothing can get stuck in, and that takes no longer than due."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

from celery.apps import worker
from celery.worker import consumer, loops

logger = logging.getLogger(__name__)

STOPS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


class Stop(BaseException):
    """This leaves the event loop."""


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """A consumer whose event loop is left before a signal to stop is handled."""

    def loop(self, *arguments: Any) -> None:
        """Run Celery's event loop."""
        self.controller.run(partial(loops.asynloop, *arguments), self.hub)


class Worker(worker.Worker):  # type: ignore[misc]
    """A worker that handles a signal to stop when its event loop is left.

    Celery does so in the signal's handler, and stops its pool there, which waits for every task:
    for ever, if the signal interrupted the writing of a task or the reading of a result.
    """

    _wake: socket.socket | None = None  # while the event loop runs

    def __init__(self, **options: Any) -> None:
        super().__init__(consumer_cls=Consumer, **options)

    def install_platform_tweaks(self, worker: Any) -> None:
        """Take Celery's handlers of signals into its own."""
        super().install_platform_tweaks(worker)
        self._pid, self._asked = os.getpid(), list[Callable[[], object]]()
        for number in STOPS:
            signal.signal(number, partial(self._ask, signal.getsignal(number)))

    def _ask(self, handler: Any, number: int, frame: Any) -> None:
        if self._wake is None or os.getpid() != self._pid:
            handler(number, frame)
        else:
            self._asked.append(partial(handler, number, None))
            self._wake.send(b"\0")

    def run(self, loop: Callable[[], None], hub: Any) -> None:
        """Run an event loop, and what signals ask for when it is left."""
        woken, self._wake = socket.socketpair()
        try:
            hub.add_reader(woken, leave)
            loop()
        except Stop:
            pass
        finally:
            wake, self._wake = self._wake, None
            hub.remove(woken)
            woken.close()
            wake.close()
            while self._asked:
                self._asked.pop(0)()

    def wait_for_soft_shutdown(self) -> None:
        """Let the children end what they have in hand, for as long as is allowed.

        Celery would sleep that long if there is anything at all.
        """
        children = self.pool._pool  # noqa: SLF001
        busy = children._busy_workers if children else ()  # noqa: SLF001
        if not busy:
            return
        seconds, hub = self.app.conf.worker_soft_shutdown_timeout, self.hub
        logger.info("worker.draining", extra={"count": len(busy), "seconds": seconds})
        hub.on_tick.clear()  # nothing is asked of the broker, and no child gets another task
        for fd in {*hub.readers, *hub.consolidate} - set(_fds_of(children)):
            hub.remove(fd)
        if not hub.readers:  # the connection to the broker is lost, and all was reset
            self.pool.register_with_event_loop(hub)
        hub.propagate_errors = ()
        end = hub.call_later(seconds, leave)
        with suppress(Stop):
            for _ in hub.create_loop():
                if not busy:
                    break
        end.cancel()  # Celery goes on with the timers, in a thread, while it stops the pool


def leave() -> None:
    """Leave the event loop from within."""
    raise Stop


def _fds_of(children: Any) -> Iterator[int]:
    """Return where one reads what children say, and whether they live."""
    for child in children._pool:  # noqa: SLF001
        yield child.outqR_fd
        yield getattr(child, "_sentinel_poll", None) or child.outqR_fd
