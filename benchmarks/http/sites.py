"""The HTTP servers that are compared; all serve the same addresses."""

from __future__ import annotations

import http.client
import socket
from abc import ABC, abstractmethod
from contextlib import closing

import psycopg
import redis

from benchmarks.servers import Processes, command_of, environment, node_environment, wait_until
from benchmarks.work import count
from stack.embedded import Servers

GRANIAN = ["granian", "--interface", "wsgi", "benchmarks.plain.web.wsgi:application"]


class Site(ABC):
    """An HTTP server to measure, on its own port."""

    name: str

    def __init__(self, servers: Servers, session: psycopg.Connection) -> None:
        self.servers, self.session = servers, session
        self.processes = Processes(servers.data / "log" / "http" / self.name)
        self.port = free_port()

    def start(self) -> None:
        """Start the site, and wait until it responds."""
        command, variables = self.program()
        self.processes.start("web", command, environment(self.servers) | variables)
        wait_until(self.answers, seconds=60, what=f"{self.name} serves", processes=self.processes)

    @abstractmethod
    def program(self) -> tuple[list[str], dict[str, str]]:
        """Return the site's command and its environment variables."""

    @abstractmethod
    def enqueued(self) -> dict[str, int]:
        """Return how many cards were handed to each of its queues, by queue name."""

    def answers(self) -> bool:
        """Return whether the site responds: with 401 to a request without a token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        with closing(connection):
            try:
                connection.request("GET", "/api/v1/notifications/")
                return connection.getresponse().status == 401
            except OSError:
                return False

    def stop(self) -> None:
        """End the processes."""
        self.processes.stop()


class Commonplace(Site):
    """The web process of fly.toml."""

    name = "commonplace"

    def program(self) -> tuple[list[str], dict[str, str]]:
        """Return the command in fly.toml, listening on loopback."""
        return command_of("web"), {"WEB_PORT": str(self.port), "PROCESS_NAME": "web"}

    def enqueued(self) -> dict[str, int]:
        """Count recorded events and outbox entries; no relay runs that would delete entries."""
        return {
            "the event store": count(self.session, "eventbook_event WHERE type = 'card.added'"),
            "the outbox": count(self.session, "eventbook_outboxentry"),
        }


class Fastify(Site):
    """Fastify with node-postgres and BullMQ, in one or several processes."""

    name = "fastify"

    def __init__(self, servers: Servers, session: psycopg.Connection, processes: int = 1) -> None:
        super().__init__(servers, session)
        self.cluster = processes

    def program(self) -> tuple[list[str], dict[str, str]]:
        """Return the command of node/fastify.mjs."""
        script = self.servers.data / "node" / "fastify.mjs"
        command = ["node", str(script), str(self.port), str(self.cluster)]
        return command, node_environment(self.servers) | {"NODE_ENV": "production"}

    def enqueued(self) -> dict[str, int]:
        """Count the waiting jobs."""
        return waiting(self.servers, "bull:notifications:wait", "bull:feeds:wait")


class Drf(Site):
    """Django REST Framework, used as its manual says, with Celery, on Commonplace's web server."""

    name = "drf"

    def program(self) -> tuple[list[str], dict[str, str]]:
        """Return the command of granian, set up as in fly.toml."""
        return GRANIAN, {
            "GRANIAN_HOST": "127.0.0.1",
            "GRANIAN_PORT": str(self.port),
            "DJANGO_SETTINGS_MODULE": "benchmarks.plain.web.settings",
        }

    def enqueued(self) -> dict[str, int]:
        """Count the waiting messages."""
        return waiting(self.servers, "plain-notifications", "plain-feeds")


def waiting(servers: Servers, *lists: str) -> dict[str, int]:
    """Return the lengths of lists in the broker."""
    with closing(redis.Redis.from_url(servers.unix_url)) as broker:
        return {name: broker.llen(name) for name in lists}


def free_port() -> int:
    """Return a free port of the loopback interface."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])
