"""The whole local stack in processes of its own, and a client of it."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault

import httpx
import psycopg

from stack.embedded import Servers
from stack.local_secret import local_secret
from stack.supervision import Supervisor, SupervisorGone
from tests.harness.processes import ROOT, DeadlinePassed, free_port, wait_for

# The regular environment, but with a shorter wait until a dead worker's work is taken over, and
# until one ends that is busy when it is told to.
OWN = {
    f"{queue}_{name}": "5"
    for queue in ("NOTIFICATIONS", "FEEDS", "EVENTS")
    for name in ("LEASE_SECONDS", "REDELIVERY_SECONDS")
} | {"SOFT_SHUTDOWN_SECONDS": "3"}
OPEN = """
    SELECT (SELECT count(*) FROM eventbook_outboxentry)
         + (SELECT count(*) FROM eventbook_delivery WHERE due_at IS NOT NULL)
"""


class RunningStack:
    """`python -m stack up` on free ports."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = data / "up.log"
        self.port, self.flower_port, self.exporter_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}/api/v1"
        servers = Servers(data)
        self.supervision = Supervisor(data / "supervisord.conf", servers.run, servers.log)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the stack, and wait until it has printed its addresses."""
        environment = {name: text for name, text in os.environ.items() if not is_tests(name)}
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stack", "up"],
                cwd=ROOT,
                env=environment
                | OWN
                | {
                    "DATA_DIR": str(self.data),
                    "PORT": str(self.port),
                    "FLOWER_PORT": str(self.flower_port),
                    "EXPORTER_PORT": str(self.exporter_port),
                },
                stdout=output,
                stderr=output,
            )
        try:
            wait_for(lambda: "/api/docs/" in self.output(), seconds=90, what="the stack is up")
        except DeadlinePassed as error:
            raise DeadlinePassed(f"{error}\n{self.output()[-4000:]}") from error

    def stop(self) -> int:
        """Stop the stack as Ctrl-C does, and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)

    def output(self) -> str:
        """Return the stack's output so far."""
        return self.log.read_text(errors="replace")

    def control(self, *arguments: str) -> str:
        """Run supervisorctl, and return its output."""
        command: list[str | Path] = [Path(sys.executable).parent / "supervisorctl", "-c"]
        done = subprocess.run(
            [*command, self.data / "supervisord.conf", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return str(done.stdout).strip()

    def pid(self, program: str) -> int:
        """Return the process id of a program, or 0 while it has none."""
        try:
            processes = self.supervision.processes()
        except (SupervisorGone, Fault):
            return 0
        return next((int(known["pid"]) for known in processes if known["name"] == program), 0)

    def supervisor(self) -> int:
        """Return the id of supervisord's process, which restarts the others."""
        return int((Servers(self.data).run / "supervisord.pid").read_text())

    def rows(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Query the stack's database."""
        with psycopg.connect(Servers(self.data).database_url) as connection:
            return connection.execute(statement, parameters).fetchall()

    def wait_until_delivered(self, *, seconds: float) -> None:
        """Wait until no event or delivery is open."""
        wait_for(
            lambda: self.rows(OPEN) == [(0,)], seconds=seconds, what="every delivery is finished"
        )

    def manage(self, *arguments: str) -> str:
        """Run a management command in the stack's environment, and return its output."""
        environment = {name: text for name, text in os.environ.items() if not is_tests(name)}
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=environment | {"DATA_DIR": str(self.data)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout

    def tasks_in_flower(self) -> set[str]:
        """Return the names of the tasks that Flower shows."""
        login = ("admin", local_secret(self.data, "flower_password"))
        url = f"http://127.0.0.1:{self.flower_port}/api/tasks"
        return {task["name"] for task in httpx.get(url, auth=login).json().values()}


class Reader:
    """A user of the stack's API."""

    def __init__(self, stack: RunningStack) -> None:
        self.name = f"reader-{secrets.token_hex(4)}"
        self.http = httpx.Client(base_url=stack.url, timeout=10)
        body = {
            "username": self.name,
            "email": f"{self.name}@example.org",
            "password": secrets.token_urlsafe(12),
        }
        token = self.http.post("/auth/register/", json=body).raise_for_status().json()["token"]
        self.http.headers["Authorization"] = f"Token {token}"

    def follow(self, other: Reader) -> None:
        """Follow another reader, with notifications on."""
        path = f"/users/{other.name}/follow/"
        self.http.put(path, json={"notify": True}).raise_for_status()

    def add(self, url: str, key: str = "") -> httpx.Response:
        """Add a card of a page."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.post("/cards/", json={"type": "URL", "url": url}, headers=headers)

    def feed(self) -> set[str]:
        """Return the addresses in the reader's feed."""
        return {card["url"] for card in self.results("/feeds/following/")}

    def notified(self) -> set[str]:
        """Return the addresses in the reader's notifications."""
        items = self.results("/notifications/")
        return {item["card"]["url"] for item in items if item["card"]}

    def results(self, path: str) -> list[Any]:
        """Return the rows of all pages of a list."""
        found: list[Any] = []
        address: str | None = f"{path}?page_size=200"
        while address:
            page = self.http.get(address).raise_for_status().json()
            found += page["results"]
            address = page["next"]
        return found


def is_tests(name: str) -> bool:
    """Return whether an environment variable is meant only for the tests' own processes."""
    own = {"DATA_DIR", "DJANGO_SETTINGS_MODULE", "PORT", "FLOWER_PORT", "EXPORTER_PORT"}
    own |= {"IDLE_TRANSACTION_SECONDS", "FAN_OUT_RANGE", "SOFT_SHUTDOWN_SECONDS"}
    return name in own or name.endswith(
        ("_MAX_ATTEMPTS", "_BACKOFF_SECONDS", "_LEASE_SECONDS", "_REDELIVERY_SECONDS")
    )
