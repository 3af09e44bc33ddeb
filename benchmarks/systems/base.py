"""What a system has to be able to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping

import psycopg

from benchmarks.servers import ROOT, Processes
from benchmarks.work import Cards
from config.embedded import Servers


class System(ABC):
    """One way to do the work; it is started once a round, and stopped at its end."""

    name: str
    # Events of a backlog, as a part of what the others get: so that a slow one ends, too.
    share = 1.0

    def __init__(self) -> None:
        self.servers: Servers
        self.processes: Processes
        self.session: psycopg.Connection

    def start(self, servers: Servers, session: psycopg.Connection) -> None:
        """Start the system's processes, and return when they are ready for work."""
        self.servers, self.session = servers, session
        self.processes = Processes(servers.data / "log" / self.name.replace(" ", "-"))
        self.processes.log.mkdir(parents=True, exist_ok=True)
        self.launch()

    @abstractmethod
    def launch(self) -> None:
        """Start the processes."""

    @abstractmethod
    def enqueue(self, cards: Cards) -> None:
        """Hand over cards that are there, as fast as it can."""

    def write(self, cards: Cards, *, writers: int, rate: float = 0) -> None:
        """Add cards that are not there yet, each by a commit of its own, and hand it over.

        So many writers do that at once: as fast as they can, or at a rate (cards a second).
        """
        raise NotImplementedError

    def flood(self, cards: Cards) -> None:
        """Hand over cards that are there as work that others may overtake."""
        raise NotImplementedError

    @abstractmethod
    def is_done(self) -> bool:
        """Return whether nothing that was handed over is left to do."""

    def stop(self) -> None:
        """End the processes."""
        self.processes.stop()


class Producer:
    """A process that adds cards when it is told to: it hears a line of JSON, and answers a word."""

    def __init__(
        self, processes: Processes, name: str, command: list[str], environment: Mapping[str, str]
    ) -> None:
        self.file = processes.log / f"{name}.json"
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        processes.adopt(name, self.process)
        self._hear("ready")

    def tell(self, way: str, cards: Cards, *, writers: int = 1, rate: float = 0) -> None:
        """Let it add cards in one of its ways, and return when it has."""
        self.file.write_text(json.dumps([[str(id), curator] for id, curator in cards]))
        order = {"way": way, "file": str(self.file), "writers": writers, "rate": rate}
        assert self.process.stdin
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        self._hear("done")

    def _hear(self, word: str) -> None:
        assert self.process.stdout
        said = self.process.stdout.readline().strip()
        if said != word:
            raise RuntimeError(f"The producer said {said!r}, not {word!r}.")


def python_producer(processes: Processes, module: str, environment: Mapping[str, str]) -> Producer:
    """Start benchmarks/producer.py for the functions of a module."""
    command = [sys.executable, "-m", "benchmarks.producer", module]
    variables = {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONPATH": os.fspath(ROOT)}
    return Producer(processes, "producer", command, {**variables, **environment})
