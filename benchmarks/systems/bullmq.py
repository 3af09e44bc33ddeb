from __future__ import annotations

import json
import subprocess
from contextlib import closing

import redis

from benchmarks.servers import ROOT, environment, wait_until
from benchmarks.systems.base import System
from benchmarks.work import Work
from config.embedded import NAME, PORT

HERE = ROOT / "benchmarks" / "node"
QUEUES = ("notifications", "feeds")
CONCURRENCY = 15


class BullMQ(System):
    """BullMQ with node-postgres: a worker process a queue, 15 jobs at once."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way

    def launch(self) -> None:
        """This starts both workers and the producer, which waits for work."""
        with closing(redis.Redis.from_url(self.servers.unix_url)) as broker:
            broker.flushall()
        self.broker = redis.Redis.from_url(self.servers.unix_url)
        modules = {
            "NODE_PATH": str(self.servers.data / "node" / "node_modules"),
            "REDIS_SOCKET": str(self.servers.valkey_socket),
            "PGHOST": str(self.servers.run),
            "PGPORT": str(PORT),
            "PGUSER": NAME,
            "PGDATABASE": NAME,
        }
        variables = environment(self.servers) | modules
        where = self.servers.data / "node"
        for queue in QUEUES:
            command = ["node", str(where / "worker.mjs"), queue, str(CONCURRENCY)]
            self.processes.start(queue, command, variables)
        self.producer = subprocess.Popen(
            ["node", str(where / "producer.mjs")],
            env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        self.processes.started["producer"] = self.producer  # type: ignore[assignment]
        self._hear("ready")
        wait_until(
            lambda: all(b"ready" in (self.processes.log / f"{q}.log").read_bytes() for q in QUEUES),
            seconds=30, what="the workers are ready", processes=self.processes,
        )  # fmt: skip

    def enqueue(self, work: Work) -> None:
        """This lets the producer add a job a card and queue (or what its way is)."""
        file = self.servers.data / "cards.json"
        file.write_text(json.dumps([str(id) for id, _ in work.cards]))
        assert self.producer.stdin
        self.producer.stdin.write(f"{self.way} {file}\n")
        self.producer.stdin.flush()
        self._hear("enqueued")

    def is_done(self) -> bool:
        """This tells whether no job waits or runs."""
        with self.broker.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.llen(f"bull:{queue}:wait")
                pipe.llen(f"bull:{queue}:active")
                pipe.zcard(f"bull:{queue}:delayed")
            return not any(pipe.execute())

    def stop(self) -> None:
        """This ends the processes, and forgets their jobs."""
        super().stop()
        self.broker.flushall()
        self.broker.close()

    def _hear(self, word: str) -> None:
        assert self.producer.stdout
        said = self.producer.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"The producer said {said!r}, not {word!r}.")
