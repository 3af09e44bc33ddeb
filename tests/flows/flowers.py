"""A Flower of a test's own: the command of fly.toml, beside the workers of the test run."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings

from stack.embedded import Servers
from stack.programs import fly
from tests.harness.links import Link
from tests.harness.processes import (
    ROOT,
    DeadlinePassed,
    end,
    environment,
    free_port,
    killed_on_failure,
    wait_for,
)

LOGIN = ("operator", "knows-the-word")


class Flower:
    """One Flower on a free port, with a link of its own to the broker."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.log = folder / "flower.log"
        self.port = free_port()
        prefix = variables.get("FLOWER_URL_PREFIX", "")
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        self.broker = Link(Servers(settings.DATA_DIR).run / "valkey.sock")
        self.variables = variables
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start Flower, and wait until its health check succeeds."""
        self.process = self.launch()
        try:
            with killed_on_failure(self.process):
                wait_for(self.is_well, seconds=30, what="Flower is well")
        except DeadlinePassed as error:
            raise DeadlinePassed(f"{error}\n{self.log.read_text()[-4000:]}") from error

    def launch(self) -> subprocess.Popen[bytes]:
        """Start Flower's process, and return it."""
        own = {name: text for name, text in environment().items() if not name.startswith("FLOWER")}
        with self.log.open("ab") as output:
            return subprocess.Popen(
                shlex.split(fly()["processes"]["flower"]),
                cwd=ROOT,
                env=own
                | {
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                    "REDIS_URL": f"redis://127.0.0.1:{self.broker.port}/0",
                    "FLOWER_PORT": str(self.port),
                    "FLOWER_DB": str(self.folder / "flower"),
                }
                | self.variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Stop Flower with SIGTERM, and return its exit code."""
        assert self.process is not None
        return end(self.process)

    def is_well(self) -> bool:
        """Return whether the health check succeeds, requested directly and without a login."""
        try:
            return httpx.get(f"{self.url}/healthcheck").text == "OK"
        except httpx.TransportError:
            return False

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Request a page with the operator's login."""
        return httpx.get(f"{self.url}/{path}", auth=LOGIN, **options)

    def browser(self) -> httpx.Client:
        """Return a browser without a login."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}")

    def tasks(self, name: str) -> list[dict[str, Any]]:
        """Return the tasks of this name that Flower shows, oldest first."""
        found = self.get("api/tasks", params={"taskname": name}).raise_for_status().json().values()
        return sorted(found, key=lambda task: task["received"] or 0)
