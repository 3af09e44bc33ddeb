"""Processes of the project, each with its own links to the servers."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.harness.links import Link
from tests.harness.processes import ROOT, wait_for


class Process:
    """A process started with its command in fly.toml; the world restarts it when it dies."""

    def __init__(
        self,
        name: str,
        command: str,
        *,
        ready: str,
        environment: Mapping[str, str],
        database: Link,
        broker: Link,
        log: Path,
    ) -> None:
        self.name, self.command, self.ready, self.log = name, command, ready, log
        self.database, self.broker = database, broker
        self.environment = dict(environment) | {
            "PROCESS_NAME": name,
            "DATABASE_URL": f"postgres://commonplace@127.0.0.1:{database.port}/commonplace",
        }
        self.popen: subprocess.Popen[bytes] | None = None
        self.wanted = False
        self.starts = 0
        self._extra: dict[str, str] = {}
        self._log_start = 0
        self._changing = threading.Lock()

    @property
    def pid(self) -> int:
        """Return the process id of the main process, or 0 if it isn't running."""
        return self.popen.pid if self.popen and self.popen.poll() is None else 0

    def start(self, **extra: str) -> None:
        """Start the process with extra environment variables, and wait until it is ready."""
        self.spawn(**extra)
        self.wait_ready()

    def spawn(self, **extra: str) -> None:
        """Start the process without waiting for it."""
        with self._changing:
            self._extra = extra
            self._spawn()
            self.wanted = True

    def respawn(self) -> None:
        """Start the process again if it should run but has died."""
        with self._changing:
            if self.wanted and not self.pid:
                self._end_group()
                self._spawn()

    def _spawn(self) -> None:
        self.starts += 1
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self.popen = subprocess.Popen(
                shlex.split(self.command),
                cwd=ROOT,
                env=self.environment | self._extra,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_ready(self, *, seconds: float = 40) -> None:
        """Wait until the process has logged that it is ready."""
        what = f"{self.name} is ready"
        wait_for(lambda: self.ready in self.output(), seconds=seconds, what=what)

    def output(self) -> str:
        """Return the log since the last start."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def stop(self, *, seconds: float = 30) -> float:
        """Stop the process with SIGTERM, and return how many seconds that took."""
        with self._changing:
            self.wanted = False
        assert self.popen is not None
        began = time.monotonic()
        self._signal(signal.SIGTERM)
        try:
            self.popen.wait(timeout=seconds)
        finally:
            self._end_group()
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill the main process with SIGKILL; its children notice and end."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Suspend the main process (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume the main process (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def children(self) -> list[psutil.Process]:
        """Return the processes below it, or none if it has died."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True) if self.pid else []
        return []

    def memory(self) -> int:
        """Return the memory of the process and its children, in bytes (PSS)."""
        processes = [psutil.Process(self.pid), *self.children()]
        return sum(process.memory_full_info().pss for process in processes)

    def _signal(self, number: signal.Signals) -> None:
        # Not os.kill(self.pid): that is 0 for a dead process, which means the tests' own group.
        assert self.popen is not None
        self.popen.send_signal(number)

    def _end_group(self) -> None:
        if self.popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
