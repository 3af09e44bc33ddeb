"""Further servers like Redis, on ports of the loopback interface."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from stack.binaries import valkey_server
from stack.debian import Program
from tests.harness.own_server import OwnServer
from tests.harness.processes import wait_for

PASSWORD = "valkey-password-in-tests"


class RedisServer(OwnServer):
    """A server; `PORT` in the options stands for its port. Without options, it persists nothing."""

    def __init__(self, folder: Path, *options: str, program: Program | None = None) -> None:
        super().__init__(folder)
        self.program = program or Program(valkey_server(), {})
        self.options = options or ("--port", "PORT")

    def start(self) -> None:
        """Start the server, and wait until it responds."""
        options = [option.replace("PORT", str(self.port)) for option in self.options]
        common = ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.run([str(self.program.path), *options, *common], self.program.environment)
        wait_for(self.responds, seconds=20, what=f"it listens on port {self.port}")

    def responds(self) -> bool:
        """Return whether the server accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


class ValkeyServer(RedisServer):
    """A Valkey with a password; what it confirmed survives `kill`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--port", "PORT", "--appendonly", "yes", "--requirepass", PASSWORD)

    def url(self, scheme: str) -> str:
        """Return the address with a scheme of bridges, for example `redis-streams`."""
        return f"{scheme}://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        """Return a client."""
        return Redis(port=self.port, password=PASSWORD, decode_responses=True)

    def responds(self) -> bool:
        """Return whether the server executes commands: it may still be loading its data."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False


@contextmanager
def running(folder: Path, *options: str, program: Program | None = None) -> Iterator[RedisServer]:
    """Run a server during the block."""
    server = RedisServer(folder, *options, program=program)
    try:
        server.start()
        yield server
    finally:
        server.stop()
