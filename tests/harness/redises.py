"""Further servers like Redis, on ports of the loopback interface."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.binaries import valkey_server
from stack.debian import Program
from tests.harness.processes import end, free_port, wait_for


class RedisServer:
    """A server that persists nothing, with its data and log in a folder."""

    def __init__(self, folder: Path, *options: str, program: Program | None = None) -> None:
        self.folder, self.port = folder, free_port()
        self.program = program or Program(valkey_server(), {})
        self.options = options or ("--port", str(self.port))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        common = ["--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        options = [option.replace("PORT", str(self.port)) for option in self.options]
        with (self.folder / f"{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.program.path), *options, *common], stdout=log, stderr=log,
                env=os.environ | self.program.environment, start_new_session=True,
            )  # fmt: skip
        wait_for(self.accepts, seconds=20, what=f"it listens on port {self.port}")

    def accepts(self) -> bool:
        """Return whether the server accepts connections."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """Kill the server, as a crash would end it."""
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """Stop the server, unless it has ended."""
        if self.process:
            end(self.process)


@contextmanager
def running(folder: Path, *options: str, program: Program | None = None) -> Iterator[RedisServer]:
    """Run a server during the block; `PORT` in the options stands for its port."""
    server = RedisServer(folder, *options, program=program)
    try:
        server.start()
        yield server
    finally:
        server.stop()
