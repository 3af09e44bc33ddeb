"""What a system has to be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod

import psycopg

from benchmarks.servers import Processes
from benchmarks.work import Work
from config.embedded import Servers


class System(ABC):
    """One way to do the work; it is started once a round, and stopped at its end."""

    def __init__(self) -> None:
        self.servers: Servers
        self.processes: Processes
        self.session: psycopg.Connection

    def start(self, servers: Servers, session: psycopg.Connection) -> None:
        """This starts the system's processes, and returns when they are ready for work."""
        self.servers, self.session = servers, session
        self.processes = Processes(servers.data / "log" / type(self).__name__.lower())
        self.launch()

    @abstractmethod
    def launch(self) -> None:
        """This starts the processes."""

    @abstractmethod
    def enqueue(self, work: Work) -> None:
        """This hands all of the work over, one event after another, as fast as it can."""

    @abstractmethod
    def is_done(self) -> bool:
        """This tells whether nothing that was handed over is left to do."""

    def stop(self) -> None:
        """This ends the processes."""
        self.processes.stop()
