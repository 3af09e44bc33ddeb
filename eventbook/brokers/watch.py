"""The step of a Celery worker that checks its health and sets its concurrency.

A worker's main process has one event loop, which reads messages from the broker and hands them to
child processes. Code in the loop must never wait for a server: a thread sends those queries.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

from celery import bootsteps
from celery.worker import state

from eventbook.brokers.lanes import queue_of, set_prefetch
from eventbook.brokers.tally import tally
from eventbook.conf import conf
from eventbook.deliveries.controls import control_of, policy_in_force
from eventbook.observe.presence import process_group, register_process
from eventbook.observe.vitals import BROKER, DATABASE, Symptoms, Vitals

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
BROKER_SECONDS = 2.0  # between two checks for waiting messages, while the event loop runs
# A worker whose tasks all fail ends itself at most this long after its health check began to fail.
FAILING_SECONDS = 60.0


class WorkerVitals(Vitals):
    """A worker's health: of its event loop, consumers, child processes and tasks (tally.py)."""

    def __init__(self, worker: Any) -> None:
        super().__init__()
        self.worker = worker
        self.lanes = sorted(worker.app.amqp.queues.consume_from)
        self.queues = sorted({queue_of(lane) for lane in self.lanes})
        self.symptoms = Symptoms()
        self._wanted: int | None = None  # the concurrency in force; None until `check` has read it
        self._ticked = self._broker_back = time.monotonic()
        self._next_check = 0.0
        self._accepted = 0
        self._paused: set[str] = set()
        self._broker: Any = None
        self._failing = False

    @property
    def concurrency(self) -> int:
        pool = self.worker.pool
        return len(pool._pool._pool) if pool is not None and pool._pool is not None else 0  # noqa: SLF001

    def tick(self) -> None:
        """Note that the event loop runs, check consumers and children, and resize the pool.

        Called in the event loop, once a second.
        """
        self._ticked = time.monotonic()
        consumer = self.worker.consumer.task_consumer
        for lane in self.lanes:
            lost = consumer is None or not consumer.consuming_from(lane)
            self.symptoms.note(f"it does not consume {lane}", present=lost)
        children = self.worker.pool._pool._pool  # noqa: SLF001 - Celery has no public way
        alive = any(child.exitcode is None for child in children)
        self.symptoms.note("none of its child processes is alive", present=not alive)
        self._adjust()

    def _adjust(self) -> None:
        """Resize the pool to the wanted concurrency; busy children end at a later tick."""
        pool, wanted = self.worker.pool, self._wanted
        before = pool.num_processes
        settled = len(pool._pool._pool) == before  # noqa: SLF001
        if wanted is None or wanted == before or not settled:
            return
        if wanted > before:
            pool.grow(wanted - before)
        else:
            with suppress(ValueError):  # too many are busy: the next tick tries again
                pool.shrink(before - wanted)
        if change := pool.num_processes - before:
            consumer = self.worker.consumer
            consumer._update_prefetch_count(change)  # noqa: SLF001 - as its own commands do
            policies = {queue: policy_in_force(queue) for queue in self.queues}
            set_prefetch(consumer.task_consumer, policies)
            pool.maintain_pool()
            logger.info("worker.concurrency_changed", extra={"count": pool.num_processes})

    def check(self) -> None:
        """Check the broker and the tally, and read the queues' pauses and concurrency.

        Called in a thread.
        """
        # The loop also stands still while Celery reconnects to the broker. Query the broker at
        # once, to note that it is down: then `stalled` doesn't blame the worker.
        loop_stands = time.monotonic() > self._ticked + 2 * TICK_SECONDS
        if loop_stands or time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + BROKER_SECONDS
            self._check_messages()
        self._check_failures()
        self._paused = {queue for queue in self.queues if control_of(queue).paused}
        self._wanted = sum(policy_in_force(queue).concurrency for queue in self.queues)

    def _check_failures(self) -> None:
        """Log when the worker's tasks begin to fail one after another."""
        # Failures while the database is down don't count, as the worker is not at fault.
        if DATABASE in self.servers_down:
            tally.reset()
        was_failing, self._failing = self._failing, bool(text := tally.describe())
        if self._failing and not was_failing:
            logger.error("worker.failing", extra={"error": text})

    def trouble(self) -> str:
        return self.stalled() or tally.describe()

    @property
    def watchdog_seconds(self) -> float:
        # Each further task would fail too, and its deliveries be late: a new process may work.
        limit = super().watchdog_seconds
        return min(limit, FAILING_SECONDS) if self._failing else limit

    def _check_messages(self) -> None:
        """Note whether messages wait while the worker accepts none."""
        before, self._accepted = self._accepted, state.all_total_count[0]
        at_work = bool(state.active_requests) or self._accepted != before
        waits = bool(state.reserved_requests)
        # While tasks run and the loop turns, the broker need not be queried.
        if not at_work or time.monotonic() > self._ticked + BROKER_SECONDS:
            waits = self._messages_wait() or waits
        self.symptoms.note("messages wait, but it accepts none", present=waits and not at_work)

    def _messages_wait(self) -> bool:
        """Return whether messages wait in unpaused queues; note whether the broker is down."""
        # Not at the top: the settings import this module, and models load after the settings.
        from eventbook.brokers.broker import BrokerDown, open_broker

        if self._broker is None:
            self._broker = open_broker()
        try:
            depths = self._broker.depths(self.queues)
        except BrokerDown:
            self.servers_down.add(BROKER)
            return False
        if BROKER in self.servers_down:
            self._broker_back = time.monotonic()
            self.servers_down.discard(BROKER)
        return any(depth for (queue, _), depth in depths.items() if queue not in self._paused)

    def stalled(self) -> str:
        """Return the faults older than HEALTH_STALL_SECONDS, or ""; "" while the broker is down."""
        if BROKER in self.servers_down:
            return ""
        limit = conf.HEALTH_STALL_SECONDS
        if (still := time.monotonic() - max(self._ticked, self._broker_back)) > limit:
            return f"its event loop has stopped for {still:.0f} s"
        lasting = self.symptoms.lasting().items()
        found = [f"{name}, for {seconds:.0f} s" for name, seconds in lasting if seconds > limit]
        if tally.seconds > limit and (failing := tally.describe()):
            found.append(failing)
        return "; ".join(found)

    def idle_seconds(self) -> float:
        return max(self.symptoms.lasting().values(), default=time.monotonic() - self._ticked)


class Watch(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """A Celery bootstep that registers the worker for operators, and serves its health check."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Start to write the worker's row in eventbook_process, and to serve health checks."""
        self.vitals = WorkerVitals(worker)
        self.presence = register_process(process_group("worker"), self.vitals)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Call `tick` in the event loop; Celery calls this at each connection to the broker."""
        hub.call_repeatedly(TICK_SECONDS, self.vitals.tick)

    def stop(self, worker: Any) -> None:
        """Delete the worker's row and stop checking."""
        self.presence.stop()

    terminate = stop
