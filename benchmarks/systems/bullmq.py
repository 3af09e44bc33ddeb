from __future__ import annotations

from benchmarks.servers import environment, node_environment, wait_until
from benchmarks.systems.base import BrokerSystem, Producer
from benchmarks.work import Cards

QUEUES = ("notifications", "feeds")
CONCURRENCY = 15


class BullMQ(BrokerSystem):
    """BullMQ with node-postgres: one worker process per queue, 15 concurrent jobs each."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.name = f"BullMQ {way}"

    def launch(self) -> None:
        """Start both workers and the producer."""
        where = self.servers.data / "node"
        modules = {"NODE_PATH": str(where / "node_modules")}
        variables = environment(self.servers) | node_environment(self.servers) | modules
        for queue in QUEUES:
            command = ["node", str(where / "worker.mjs"), queue, str(CONCURRENCY)]
            self.processes.start(queue, command, variables)
        self.variables = variables
        self.producer = self._producer("producer")
        wait_until(
            lambda: all(self.processes.has_said(queue, b"ready") for queue in QUEUES),
            seconds=30, what="the workers are ready", processes=self.processes,
        )  # fmt: skip

    def _producer(self, name: str) -> Producer:
        command = ["node", str(self.servers.data / "node" / "producer.mjs")]
        return Producer(self.processes, name, command, self.variables)

    def enqueue(self, cards: Cards) -> None:
        """Let the producer add jobs in this system's way (node/producer.mjs)."""
        self.producer.order(self.way, cards)

    def flood(self, cards: Cards) -> None:
        """Let a second producer add jobs with a lower priority."""
        self._producer("background producer").order("flood", cards)

    def is_done(self) -> bool:
        """Return whether no job is waiting or running."""
        with self.broker.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.llen(f"bull:{queue}:wait")
                pipe.llen(f"bull:{queue}:active")
                pipe.zcard(f"bull:{queue}:delayed")
                pipe.zcard(f"bull:{queue}:prioritized")
            return not any(pipe.execute())
