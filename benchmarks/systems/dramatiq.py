from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import redis

from benchmarks.servers import environment, wait_until
from benchmarks.systems.base import System
from benchmarks.work import Work

QUEUES = ("notifications", "feeds")
PROCESSES, THREADS = 2, 16  # more threads than the default of 8: a little faster
PRODUCERS = 4


class Dramatiq(System):
    """Dramatiq on the same broker: two processes of sixteen threads, an actor a queue.

    An idle worker looks for messages at growing intervals, up to a second by default. Looking
    every 20 ms makes its latency less, and its CPU time at light load twice as much.
    """

    def __init__(self, *, longest_wait_ms: int = 1000) -> None:
        super().__init__()
        self.longest_wait_ms = longest_wait_ms

    def launch(self) -> None:
        """This starts the workers; each works on both queues, as by default."""
        self.broker = redis.Redis.from_url(self.servers.unix_url)
        self.broker.flushall()
        settings = {"dramatiq_worker_timeout": str(self.longest_wait_ms)}
        command = [
            "dramatiq", "benchmarks.dramatiq.tasks",
            "--processes", str(PROCESSES), "--threads", str(THREADS),
        ]  # fmt: skip
        self.processes.start("worker", command, environment(self.servers) | settings)
        log = self.processes.log / "worker.log"
        wait_until(
            lambda: log.read_bytes().count(b"ready for action") == PROCESSES,
            seconds=30, what="the workers are ready", processes=self.processes,
        )  # fmt: skip

    def enqueue(self, work: Work) -> None:
        """This sends two messages a card, from four threads: fewer or more are slower."""
        with ThreadPoolExecutor(PRODUCERS) as producers:
            for _ in producers.map(_send, [str(id) for id, _ in work.cards]):
                pass

    def is_done(self) -> bool:
        """This tells whether the broker holds no message: none waits, is delayed, or runs."""
        with self.broker.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.hlen(f"dramatiq:{queue}.msgs")
                pipe.hlen(f"dramatiq:{queue}.DQ.msgs")
            return not any(pipe.execute())

    def stop(self) -> None:
        """This ends the workers, and forgets their messages."""
        super().stop()
        self.broker.flushall()
        self.broker.close()


def _send(card_id: str) -> None:
    from benchmarks.dramatiq.tasks import fan_out, notify

    notify.send(card_id)
    fan_out.send(card_id)
