"""Celery's worker, changed so that its shutdown can't hang, and ends with its last task."""

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

DELAYS = "delayed_delivery"  # part of the name of a step (`Blueprint` below)
STOPS = (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT)


class Stop(BaseException):
    """Raised in the event loop to leave it."""


class Consumer(consumer.Consumer):  # type: ignore[misc]
    """A consumer whose event loop is run by the worker's `run`, which handles stop signals."""

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc]
        """Celery's steps of a consumer, without the one that creates 28 queues for delays.

        Celery creates them in RabbitMQ for tasks with an ETA. We have none: the relay publishes a
        delivery when it is due.
        """

        default_steps = tuple(
            step for step in consumer.Consumer.Blueprint.default_steps if DELAYS not in step
        )

    def loop(self, *arguments: Any) -> None:
        """Run Celery's event loop."""
        self.controller.run(partial(loops.asynloop, *arguments), self.hub)


class Worker(worker.Worker):  # type: ignore[misc]
    """A worker that handles stop signals after leaving its event loop.

    Celery stops its pool inside the signal handler, and waits there for every task. If the signal
    interrupted the writing of a task or the reading of a result, that wait never ends.
    """

    _wake: socket.socket | None = None  # a write to it ends the event loop; None if none runs

    def __init__(self, **options: Any) -> None:
        super().__init__(consumer_cls=Consumer, **options)

    def install_platform_tweaks(self, worker: Any) -> None:
        """Install Celery's signal handlers, wrapped by `_postpone`."""
        super().install_platform_tweaks(worker)
        self._pid, self._postponed = os.getpid(), list[Callable[[], object]]()
        for number in STOPS:
            signal.signal(number, partial(self._postpone, signal.getsignal(number)))

    def _postpone(self, handler: Any, number: int, frame: Any) -> None:
        """Postpone Celery's handler until the event loop is left; call it now if none runs."""
        if self._wake is None or os.getpid() != self._pid:
            handler(number, frame)
        else:
            self._postponed.append(partial(handler, number, None))
            self._wake.send(b"\0")

    def run(self, loop: Callable[[], None], hub: Any) -> None:
        """Run an event loop until it ends, raises, or a stop signal comes.

        Then call the postponed handlers. Celery's handler does the whole shutdown, with
        `wait_for_soft_shutdown` first.
        """
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
            while self._postponed:
                self._postponed.pop(0)()

    def wait_for_soft_shutdown(self) -> None:
        """Wait until the children have finished their tasks, at most the soft shutdown timeout.

        Celery would sleep for the whole timeout even if the tasks finish sooner.
        """
        self._end_heartbeats()
        children = self.pool._pool  # noqa: SLF001
        busy = children._busy_workers if children else ()  # noqa: SLF001
        if not busy:
            return
        seconds, hub = self.app.conf.worker_soft_shutdown_timeout, self.hub
        logger.info("worker.draining", extra={"count": len(busy), "seconds": seconds})
        hub.on_tick.clear()  # request no message from the broker, and give no task to a child
        for fd in {*hub.readers, *hub.consolidate} - set(_fds_of(children)):
            hub.remove(fd)
        if not hub.readers:  # losing the connection to the broker has removed all readers
            self.pool.register_with_event_loop(hub)
        hub.propagate_errors = ()
        end = hub.call_later(seconds, leave)
        with suppress(Stop):
            for _ in hub.create_loop():
                if not busy:
                    break
        end.cancel()  # Celery runs the hub's timers on, in a thread, while it stops the pool

    def _end_heartbeats(self) -> None:
        """Send no more heartbeats: without a broker, Celery would retry one for ever."""
        heart = self.consumer and self.consumer.heart
        if heart and heart.tref:
            self.timer.cancel(heart.tref)


def leave() -> None:
    """Leave the event loop, when called in it."""
    raise Stop


def _fds_of(children: Any) -> Iterator[int]:
    """Yield the file descriptors for reading the children's results and noticing their deaths."""
    for child in children._pool:  # noqa: SLF001
        yield child.outqR_fd
        yield getattr(child, "_sentinel_poll", None) or child.outqR_fd


def silence() -> None:
    """Turn off Celery's own messages about a stop, which bypass the logs."""
    worker.safe_say = lambda *_: None
