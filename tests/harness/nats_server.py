"""A NATS server with JetStream, which tests may kill and start again."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from tests.harness.processes import free_port, wait_for

START_SECONDS = 20.0
PASSWORD = "nats-password-in-tests"


class NatsServer:
    """A server on a port of the loopback interface; its data survives `kill` and `stop`."""

    def __init__(self, folder: Path, *, password: str = PASSWORD) -> None:
        self.folder, self.password = folder, password
        self.port = free_port()
        self.options: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of its stream for a bridge, with login and password."""
        return f"nats://bridge:{quote(self.password, safe='')}@127.0.0.1:{self.port}/EVENTS"

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        program = shutil.which("nats-server", path=str(Path(sys.executable).parent))
        assert program
        with (self.folder / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self.folder),
                 "--user", "bridge", "--pass", self.password, *self.options],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        wait_for(self.responds, seconds=START_SECONDS, what="NATS responds")

    def responds(self) -> bool:
        """Return whether the server sends its greeting."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(4) == b"INFO"
        except OSError:
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
