"""The interface of the systems that are compared, and their producer processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import psycopg
import redis

from benchmarks.servers import ROOT, Processes
from benchmarks.work import Cards
from stack.embedded import Servers


class System(ABC):
    """One way to do the work, started and stopped in each round."""

    name: str
    # The fraction of a backlog's events that this system gets, so that slow systems finish too.
    share = 1.0

    def __init__(self) -> None:
        self.servers: Servers
        self.processes: Processes
        self.session: psycopg.Connection
        self.producer: Producer

    def start(self, servers: Servers, session: psycopg.Connection) -> None:
        """Start the system's processes, and wait until they are ready."""
        self.servers, self.session = servers, session
        self.processes = Processes(servers.data / "log" / self.name.replace(" ", "-"))
        self.processes.log.mkdir(parents=True, exist_ok=True)
        self.launch()

    @abstractmethod
    def launch(self) -> None:
        """Start the processes and wait for them; `servers` and `session` are set."""

    @abstractmethod
    def enqueue(self, cards: Cards) -> None:
        """Enqueue the work of existing cards, as fast as possible."""

    def write(self, cards: Cards, *, writers: int, rate: float = 0) -> None:
        """Insert new cards, each with a commit of its own, and enqueue their work.

        `writers` do this concurrently, at `rate` cards per second, or without a rate as fast as
        possible. The producer does it, in its way `write`.
        """
        self.producer.order("write", cards, writers=writers, rate=rate)

    def flood(self, cards: Cards) -> None:
        """Enqueue the work of existing cards as bulk work, which other work may overtake."""
        raise NotImplementedError

    @abstractmethod
    def is_done(self) -> bool:
        """Return whether all enqueued work is done."""

    def stop(self) -> None:
        """End the processes."""
        self.processes.stop()


@contextmanager
def running(system: System, servers: Servers, session: psycopg.Connection) -> Iterator[System]:
    """Start a system, and stop it after the block."""
    try:
        system.start(servers, session)
        yield system
    finally:
        system.stop()


class BrokerSystem(System):
    """A system on the broker, which is empty before and after its run."""

    def start(self, servers: Servers, session: psycopg.Connection) -> None:
        """Empty the broker, and start the processes."""
        self.broker = redis.Redis.from_url(servers.unix_url)
        self.broker.flushall()
        super().start(servers, session)

    def stop(self) -> None:
        """End the processes, and delete their messages."""
        super().stop()
        with closing(self.broker) as broker:
            broker.flushall()


class Producer:
    """A process that adds cards on order. Each order is a line of JSON; it prints "done" after."""

    def __init__(
        self, processes: Processes, name: str, command: list[str], environment: Mapping[str, str]
    ) -> None:
        self.file = processes.log / f"{name}.json"
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        processes.adopt(name, self.process)
        self._expect("ready")

    def order(self, way: str, cards: Cards, *, writers: int = 1, rate: float = 0) -> None:
        """Order the process to add cards in one of its ways, and wait until that is done."""
        self.file.write_text(json.dumps([[str(id), curator] for id, curator in cards]))
        order = {"way": way, "file": str(self.file), "writers": writers, "rate": rate}
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self._expect("done")

    def _expect(self, word: str) -> None:
        """Wait for a line of the process; raise RuntimeError if it is not this word."""
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        if line != word:
            raise RuntimeError(f"The producer printed {line!r}, not {word!r}.")


def python_producer(processes: Processes, module: str, environment: Mapping[str, str]) -> Producer:
    """Start benchmarks/producer.py with the functions of a module."""
    command = [sys.executable, "-m", "benchmarks.producer", module]
    variables = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": os.fspath(ROOT)}
    return Producer(processes, "producer", command, {**variables, **environment})
