"""A NATS server with JetStream, which tests may kill and start again."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path
from urllib.parse import quote

from tests.harness.own_server import OwnServer
from tests.harness.processes import wait_for

START_SECONDS = 20.0
PASSWORD = "nats-password-in-tests"


class NatsServer(OwnServer):
    """A server whose data survives `kill` and `stop`."""

    def __init__(self, folder: Path, *, password: str = PASSWORD) -> None:
        super().__init__(folder)
        self.password = password
        self.options: list[str] = []

    @property
    def url(self) -> str:
        """The address of its stream for a bridge, with login and password."""
        return f"nats://bridge:{quote(self.password, safe='')}@127.0.0.1:{self.port}/EVENTS"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert program
        self.run(
            [program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder),
             "--user", "bridge", "--pass", self.password, *self.options]
        )  # fmt: skip
        wait_for(self.responds, seconds=START_SECONDS, what="NATS responds")

    def responds(self) -> bool:
        """Return whether the server sends its greeting."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
            return False
