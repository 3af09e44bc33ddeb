"""What takes a broker's place in an inline relay: one pool of child processes for each queue.

For the smallest installation, for debugging, and while a broker is lost (`manage.py relay
--inline`). PostgreSQL holds all state, as it does with a broker: the deliveries that a killed relay
had begun or kept waiting are due again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess

from celery import current_app

from eventbook.brokers.broker import Lane, Weakness
from eventbook.brokers.messages import chunks
from eventbook.declare.handlers import handlers
from eventbook.declare.queues import QueuePolicy, all_policies
from eventbook.deliveries.states import Pending
from eventbook.inline import child
from eventbook.inline.child import Batch
from eventbook.models import Priority
from eventbook.observe.vitals import Pulse

logger = logging.getLogger(__name__)

# Children are forked from a server process without threads, in which Django is set up. A fork of
# the relay could inherit a lock that one of its threads holds.
CONTEXT = get_context("forkserver")
START_SECONDS = 60.0  # within which a new child must be ready
RESTART_SECONDS = 1.0  # between attempts to start a child
KILL_SECONDS = 5.0


class Inline:
    """A broker for the relay that runs each message in a child process of its own."""

    def __init__(self) -> None:
        CONTEXT.set_forkserver_preload(["eventbook.inline.preload"])
        self._pools = {policy.name: Pool(policy) for policy in all_policies().values()}

    def depths(self, queues: Sequence[str]) -> dict[Lane, int]:
        """Return the number of messages in each lane that no child has begun."""
        return {
            (queue, priority): len(self._pools[queue].waiting[priority])
            for queue in queues
            for priority in Priority
        }

    def publish(self, pending: Sequence[Pending], *, priority: Priority) -> Counter[str]:
        """Run these deliveries as soon as children are free."""
        sent: Counter[str] = Counter()
        for name, chunk in chunks(pending):
            suspect = any(delivery.suspect for delivery in chunk)
            queue = handlers[name].queue
            batch = Batch(name, [delivery.id for delivery in chunk], suspect)
            self._pools[queue].add(batch, priority)
            sent[queue] += 1
        return sent

    def weaknesses(self) -> Iterator[Weakness]:
        """Yield nothing: there is no broker that could lose messages."""
        yield from ()

    def close(self) -> None:
        """Let running batches finish within the soft shutdown timeout; then end all children."""
        deadline = time.monotonic() + current_app.conf.worker_soft_shutdown_timeout
        for pool in self._pools.values():
            pool.stop()
        for pool in self._pools.values():
            pool.wait(deadline)


class Pool:
    """The child processes of one queue, and the batches that wait for them.

    Each child has a thread of the relay and a pipe of its own. So one that is killed, at whatever
    moment, holds no lock that the others need.
    """

    def __init__(self, policy: QueuePolicy) -> None:
        self.policy = policy
        self.waiting: dict[Priority, deque[Batch]] = {
            priority: deque() for priority in sorted(Priority, reverse=True)
        }
        self._running: Counter[Priority] = Counter()
        self._stopped = False
        self._changed = threading.Condition()
        self._children = [Child(policy) for _ in range(policy.concurrency)]
        self._threads = [
            threading.Thread(target=self._work, args=[each], daemon=True, name=policy.name)
            for each in self._children
        ]
        for thread in self._threads:
            thread.start()

    def add(self, batch: Batch, priority: Priority) -> None:
        """Let a batch wait for a free child."""
        with self._changed:
            self.waiting[priority].append(batch)
            self._changed.notify()

    def stop(self) -> None:
        """Begin no more batches; those that wait are due again for another relay."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def wait(self, deadline: float) -> None:
        """Wait until running batches have ended; kill their children at the deadline."""
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for each in self._children:
            each.kill()

    def _work(self, own: Child) -> None:
        """Run batches in a child, one after another, until the pool is stopped."""
        own.start()
        while taken := self._take():
            priority, batch = taken
            own.run(batch)
            with self._changed:
                self._running[priority] -= 1
                self._changed.notify()
        own.kill()

    def _take(self) -> tuple[Priority, Batch] | None:
        """Wait for a batch that may run now, and take it; return None if the pool is stopped.

        Interactive batches come first; one child at least is kept free of bulk ones.
        """
        with self._changed:
            while not self._stopped:
                for priority, lane in self.waiting.items():
                    if lane and self._running[priority] < self.policy.concurrency_for(priority):
                        self._running[priority] += 1
                        return priority, lane.popleft()
                self._changed.wait()
        return None


class Child:
    """A child process, which is replaced when it dies or exceeds the time limit."""

    def __init__(self, policy: QueuePolicy) -> None:
        self.policy = policy
        self._starting = threading.Lock()
        self._killed = False
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Start the process, and wait until it is ready; try again until it is."""
        while True:
            try:
                if not self._start_unless_killed() or self._is_ready(START_SECONDS):
                    return
                self._end()
            except (OSError, EOFError) as error:  # for example, no file descriptor is left
                values = {"queue": self.policy.name, "error": f"{type(error).__name__}: {error}"}
                logger.warning("child.not_started", extra=values)
            time.sleep(RESTART_SECONDS)

    def run(self, batch: Batch) -> None:
        """Run a batch; replace the process if it dies or doesn't end within the time limit."""
        with suppress(OSError):  # it has died
            self._pipe.send(batch)
        if not self._is_ready(handlers[batch.handler].policy.longest_run_seconds):
            logger.warning("child.replaced", extra={"queue": self.policy.name})
            self._end()
            self.start()

    def kill(self) -> None:
        """Kill the process, and start no other."""
        with self._starting:
            self._killed = True
            if self._process:
                self._process.kill()

    def _start_unless_killed(self) -> bool:
        """Start the process; return False after `kill`. Raise OSError or EOFError if it fails."""
        with self._starting:
            if not self._killed:
                pipe, other = CONTEXT.Pipe()
                arguments = other, self.policy.name
                process = CONTEXT.Process(target=child.serve, args=arguments, daemon=True)
                process.start()
                other.close()
                self._pipe, self._process = pipe, process
            return not self._killed

    def _is_ready(self, seconds: float) -> bool:
        """Wait until the process is ready for a batch; return False if it died or took longer."""
        try:
            if self._pipe.poll(seconds):
                self._pipe.recv()
                return True
        except (EOFError, OSError):
            pass
        return False

    def _end(self) -> None:
        if self._process:
            self._process.kill()
            self._process.join(KILL_SECONDS)
        self._pipe.close()


class InlinePulse(Pulse):
    """The vitals of an inline relay, which consumes every queue."""

    def __init__(self) -> None:
        super().__init__()
        self.queues = sorted(all_policies())

    @property
    def concurrency(self) -> int:
        return sum(policy.concurrency for policy in all_policies().values())
