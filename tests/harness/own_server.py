"""A server of a test's own, which may be killed and started again."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.harness.processes import end, free_port


class OwnServer:
    """The process of a server on a port of the loopback interface, with its data in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        """Start the process; its log is a file of the folder."""
        with (self.folder / f"{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=os.environ | dict(environment or {}),
                start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill the server, as a crash would end it."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Stop the server, unless it has ended."""
        if self.process is not None:
            end(self.process)
