"""Run processes with health checks, on links to the servers that a test can break.

They use a separate Valkey database as broker, so that other tests' workers don't consume their
messages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil
from celery import Celery
from django.conf import settings
from django.db import connection

from eventbook.declare.queues import policy_of
from stack.embedded import PORT, Servers
from tests.harness.links import Link
from tests.harness.processes import ROOT, end, environment, free_port, kill_group, wait_for

BROKER_PART = 5
STALL_SECONDS = 1.5
# The number of child processes of a notifications worker.
CHILDREN = policy_of("notifications").concurrency


class Watched:
    """A process with a health check."""

    def __init__(self, command: list[str], log: Path, variables: dict[str, str]) -> None:
        self.port = free_port()
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env=environment() | variables | {"HEALTH_PORT": str(self.port)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def process(self) -> psutil.Process:
        """Return the main process, which also gives access to its children."""
        return psutil.Process(self.popen.pid)

    def wait_children(self, *, seconds: float = 30) -> None:
        """Wait until a notifications worker has started all its child processes."""
        children = self.process.children
        wait_for(lambda: len(children()) == CHILDREN, seconds=seconds, what="it has its children")

    def health(self) -> tuple[int, dict[str, Any]]:
        """Return the health check's HTTP status (0 without a response) and its JSON."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=1) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            with error:
                return error.code, json.load(error)
        except (URLError, OSError):
            return 0, {}

    def wait_health(self, code: int, words: str = "", *, seconds: float = 20) -> None:
        """Wait until the health check has this status, and these words in its reason."""

        def is_so() -> bool:
            status, facts = self.health()
            return status == code and words in facts.get("reason", "")

        what = f"the check answers {code} {words!r}"
        try:
            wait_for(is_so, seconds=seconds, what=what)
        except AssertionError as error:
            tail = self.log.read_text(errors="replace")[-3000:]
            raise AssertionError(f"{error}; it is {self.health()}\n{tail}") from error

    @contextmanager
    def frozen(self, *processes: psutil.Process) -> Iterator[None]:
        """Suspend the given processes, or the main one, during the block."""
        chosen = processes or (self.process,)
        for process in chosen:
            process.suspend()
        try:
            yield
        finally:
            for process in chosen:
                process.resume()

    def stop(self) -> int:
        """Stop the process with SIGTERM, and return its exit code."""
        return end(self.popen)

    def kill(self) -> None:
        """Kill the process and its group."""
        kill_group(self.popen)


class System:
    """The links to both servers, and the processes that use them."""

    def __init__(self, folder: Path) -> None:
        servers = Servers(settings.DATA_DIR)
        self.folder = folder
        self.database = Link(servers.run / f".s.PGSQL.{PORT}")
        self.broker = Link(servers.valkey_socket)
        self.broker_url = f"redis://127.0.0.1:{self.broker.port}/{BROKER_PART}"
        self.processes: dict[str, Watched] = {}  # the latest of each name
        self._started: list[Watched] = []

    @property
    def places(self) -> dict[str, str]:
        """Return the environment variables that put a process behind the links."""
        name = connection.settings_dict["NAME"]
        return {
            "DATABASE_URL": f"postgres://commonplace@127.0.0.1:{self.database.port}/{name}",
            "REDIS_URL": self.broker_url,
        }

    def start(self, name: str, *command: str, **variables: str) -> Watched:
        """Start a process under this name, with its servers behind the links."""
        places = self.places | {
            "PROCESS_NAME": name,
            "DATABASE_REPLY_SECONDS": "1",
            "HEALTH_STALL_SECONDS": str(STALL_SECONDS),
        }
        process = Watched(list(command), self.folder / f"{name}.log", places | variables)
        self.processes[name] = process
        self._started.append(process)
        return process

    def control(self, command: str, *arguments: str) -> None:
        """Send a command of Celery's remote control, and require a reply."""
        with Celery("remote", broker=self.broker_url, set_as_current=False) as remote:
            assert getattr(remote.control, command)(*arguments, reply=True, timeout=5, limit=1)

    def stop(self) -> None:
        """Repair the links, and stop all processes that were ever started."""
        self.database.pass_on()
        self.broker.pass_on()
        for process in self._started:
            process.popen.terminate()
        for process in self._started:
            end(process.popen)
        self.kill()

    def kill(self) -> None:
        """Kill all processes that were ever started: a worker takes 1.5 seconds to stop."""
        for process in self._started:
            process.kill()
        self.database.close()
        self.broker.close()
