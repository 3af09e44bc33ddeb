"""A Valkey on a TCP port, which tests may kill and start again."""

from __future__ import annotations

import subprocess
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from stack.binaries import valkey_server
from tests.harness.processes import free_port, wait_for

PASSWORD = "valkey-password-in-tests"


class ValkeyServer:
    """A server on the loopback interface; what it confirmed survives `kill`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, scheme: str) -> str:
        """Return the address with a scheme of bridges, for example `redis-streams`."""
        return f"{scheme}://:{PASSWORD}@127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        """Return a client."""
        return Redis(port=self.port, password=PASSWORD, decode_responses=True)

    def start(self) -> None:
        """Start the server, and wait until it responds."""
        with (self.folder / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(valkey_server()), "--port", str(self.port), "--bind", "127.0.0.1",
                 "--dir", str(self.folder), "--appendonly", "yes", "--requirepass", PASSWORD],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self.responds, seconds=20, what="Valkey responds")

    def responds(self) -> bool:
        """Return whether the server executes commands."""
        try:
            with self.client() as client:
                return bool(client.ping())
        except RedisError:
            return False

    def kill(self) -> None:
        """Kill the server, as a crash would end it."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop the server if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)
