from __future__ import annotations

from benchmarks.servers import environment, wait_until
from benchmarks.systems.base import BrokerSystem, python_producer
from benchmarks.work import Cards

QUEUES = ("notifications", "feeds")
PROCESSES, THREADS = 2, 16  # a little faster than the default of 8 threads
PRODUCERS = 4


class Dramatiq(BrokerSystem):
    """Dramatiq on the same broker: two processes with 16 threads, one actor per queue.

    An idle worker polls for messages at growing intervals, up to 1 s by default. Polling every
    20 ms reduces latency, but doubles the CPU time at light load.
    """

    def __init__(self, *, longest_wait_ms: int = 1000) -> None:
        super().__init__()
        self.longest_wait_ms = longest_wait_ms
        self.name = (
            "Dramatiq" if longest_wait_ms == 1000 else f"Dramatiq, idle for {longest_wait_ms} ms"
        )

    def launch(self) -> None:
        """Start the producer and the workers, which serve both queues, as is the default."""
        variables = environment(self.servers) | {
            "dramatiq_worker_timeout": str(self.longest_wait_ms)
        }
        self.producer = python_producer(self.processes, "benchmarks.dramatiq.producer", variables)
        command = [
            "dramatiq", "benchmarks.dramatiq.tasks",
            "--processes", str(PROCESSES), "--threads", str(THREADS),
        ]  # fmt: skip
        self.processes.start("worker", command, variables)
        log = self.processes.log / "worker.log"
        wait_until(
            lambda: log.read_bytes().count(b"ready for action") == PROCESSES,
            seconds=30, what="the workers are ready", processes=self.processes,
        )  # fmt: skip

    def enqueue(self, cards: Cards) -> None:
        """Let the producer send two messages per card from 4 threads, the fastest number."""
        self.producer.order("enqueue", cards, writers=PRODUCERS)

    def is_done(self) -> bool:
        """Return whether no message is waiting, delayed or being processed."""
        with self.broker.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.hlen(f"dramatiq:{queue}.msgs")
                pipe.hlen(f"dramatiq:{queue}.DQ.msgs")
            return not any(pipe.execute())
