"""The part of a Celery worker that watches over the others, and sets its concurrency.

The main process has one event loop: it takes messages from the broker, and gives them to its child
processes. Nothing here makes it wait for a server: what is to be asked, a thread asks.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Any

from celery import bootsteps
from celery.worker import state
from django.conf import settings

from events.controls import control_of, policy_in_force
from events.processes.presence import DATABASE, appear, process_group
from events.processes.tally import tally
from events.processes.vitals import Symptoms, Vitals

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
BROKER = "the broker"
BROKER_SECONDS = 2.0  # between looks at the length of the queues
# A worker whose every task has failed for so long since its health check does ends itself.
FAILING_SECONDS = 60.0


class WorkerVitals(Vitals):
    """What a worker knows of itself."""

    def __init__(self, worker: Any) -> None:
        super().__init__()
        self.worker = worker
        self.queues = sorted(worker.app.amqp.queues.consume_from)
        self.symptoms = Symptoms()
        self._wanted: int | None = None  # what operators want to be done at once
        self._ticked = self._broker_back = time.monotonic()
        self._next_look = 0.0
        self._accepted = 0
        self._paused: set[str] = set()
        self._broker: Any = None
        self._failing = False

    @property
    def concurrency(self) -> int:
        pool = self.worker.pool
        return len(pool._pool._pool) if pool is not None and pool._pool is not None else 0  # noqa: SLF001

    def tick(self) -> None:
        """Note, in the event loop, that it turns, and what it finds there."""
        self._ticked = time.monotonic()
        consumer = self.worker.consumer.task_consumer
        for queue in self.queues:
            lost = consumer is None or not consumer.consuming_from(queue)
            self.symptoms.note(f"it does not consume {queue}", present=lost)
        children = self.worker.pool._pool._pool  # noqa: SLF001 - Celery has no public way
        alive = any(child.exitcode is None for child in children)
        self.symptoms.note("none of its child processes lives", present=not alive)
        self._adjust()

    def _adjust(self) -> None:
        """Make the pool as large as operators want it; a busy one shrinks when it can."""
        pool, wanted = self.worker.pool, self._wanted
        before = pool.num_processes
        settled = len(pool._pool._pool) == before  # noqa: SLF001
        if wanted is None or wanted == before or not settled:
            return
        if wanted > before:
            pool.grow(wanted - before)
        else:
            with suppress(ValueError):  # some are busy: they go at one of the next ticks
                pool.shrink(before - wanted)
        if change := pool.num_processes - before:
            self.worker.consumer._update_prefetch_count(change)  # noqa: SLF001 - as its own commands do
            pool.maintain_pool()
            logger.info("worker.concurrency_changed", extra={"count": pool.num_processes})

    def look(self) -> None:
        """Ask the servers, in a thread: what waits, and what operators want."""
        # Whoever reconnects to its broker turns no more: that is found out before it counts.
        stands = time.monotonic() > self._ticked + 2 * TICK_SECONDS
        if stands or time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + BROKER_SECONDS
            self._look_at_work()
        self._look_at_failures()
        self._paused = {queue for queue in self.queues if control_of(queue).paused}
        self._wanted = sum(policy_in_force(queue).concurrency for queue in self.queues)

    def _look_at_failures(self) -> None:
        # Nobody's fault, and the first tasks after an outage may still meet what is left of it.
        if DATABASE in self.missing:
            tally.forget()
        was_failing, self._failing = self._failing, bool(text := str(tally))
        if self._failing and not was_failing:
            logger.error("worker.failing", extra={"error": text})

    def trouble(self) -> str:
        return self.stalled() or str(tally)

    @property
    def watchdog_seconds(self) -> float:
        # These tasks wait for no one: another process may fare better.
        limit = super().watchdog_seconds
        return min(limit, FAILING_SECONDS) if self._failing else limit

    def _look_at_work(self) -> None:
        accepted, began = state.all_total_count[0], self._accepted
        self._accepted = accepted
        at_work = bool(state.active_requests) or accepted != began
        waits = bool(state.reserved_requests)
        # Whoever has work in hand, and turns, needs no look at what else there is.
        if not at_work or time.monotonic() > self._ticked + BROKER_SECONDS:
            waits = self._messages_wait() or waits
        self.symptoms.note("messages wait, and it takes none", present=waits and not at_work)

    def _messages_wait(self) -> bool:
        from events.broker import Broker, BrokerDown

        if self._broker is None:
            self._broker = Broker()
        try:
            depths = self._broker.depths(self.queues)
        except BrokerDown:
            self.missing.add(BROKER)
            return False
        if BROKER in self.missing:
            self._broker_back = time.monotonic()
            self.missing.discard(BROKER)
        return any(depth for (queue, _), depth in depths.items() if queue not in self._paused)

    def stalled(self) -> str:
        """Return what has gone on for too long; without its broker, a worker can't work."""
        if BROKER in self.missing:
            return ""
        limit = settings.HEALTH_STALL_SECONDS
        if (still := time.monotonic() - max(self._ticked, self._broker_back)) > limit:
            return f"its event loop has stopped for {still:.0f} s"
        lasting = self.symptoms.lasting().items()
        found = [f"{name}, for {seconds:.0f} s" for name, seconds in lasting if seconds > limit]
        if tally.seconds > limit and (failing := str(tally)):
            found.append(failing)
        return "; ".join(found)

    def idle_seconds(self) -> float:
        return max(self.symptoms.lasting().values(), default=time.monotonic() - self._ticked)


class Watch(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """A step of the worker's start and stop."""

    requires = ("celery.worker.components:Pool",)

    def start(self, worker: Any) -> None:
        """Begin to watch."""
        self.vitals = WorkerVitals(worker)
        self.presence = appear(process_group("worker"), self.vitals)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        """Let the event loop tick; Celery calls it at each connection to the broker."""
        hub.call_repeatedly(TICK_SECONDS, self.vitals.tick)

    def stop(self, worker: Any) -> None:
        """End watching."""
        self.presence.stop()

    terminate = stop
