"""One process of the project, with links of its own to the servers."""

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

from tests.faults.links import Link
from tests.running import ROOT, wait_for


class Process:
    """A process as fly.toml starts it; whoever supervises it starts it again when it dies."""

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
            "REDIS_URL": f"redis://127.0.0.1:{broker.port}/0",
        }
        self.popen: subprocess.Popen[bytes] | None = None
        self.wanted = False
        self.starts = 0
        self._extra: dict[str, str] = {}
        self._log_start = 0
        self._changing = threading.Lock()

    @property
    def pid(self) -> int:
        """This is the process id of the main process, or 0."""
        return self.popen.pid if self.popen and self.popen.poll() is None else 0

    def start(self, **extra: str) -> None:
        """This starts it, with more of an environment if wanted, and returns when it is ready."""
        self.spawn(**extra)
        self.wait_ready()

    def spawn(self, **extra: str) -> None:
        """This starts it."""
        with self._changing:
            self._extra = extra
            self._spawn()
            self.wanted = True

    def respawn(self) -> None:
        """This starts it again if it died."""
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
        """This returns when it has written that it is ready."""
        what = f"{self.name} is ready"
        wait_for(lambda: self.ready in self.output(), seconds=seconds, what=what)

    def output(self) -> str:
        """This is what it has written since it was started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def stop(self, *, seconds: float = 30) -> float:
        """This stops it in the regular way, and answers how long that took."""
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
        """This kills the main process, with no warning; its children notice."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """This stops the main process from running, but does not end it."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """This lets it run again."""
        self._signal(signal.SIGCONT)

    def children(self) -> list[psutil.Process]:
        """These are its worker processes; it has none if it died a moment ago."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children() if self.pid else []
        return []

    def memory(self) -> int:
        """This is the memory of the process and its children (PSS, bytes)."""
        processes = [psutil.Process(self.pid), *self.children()]
        return sum(process.memory_full_info().pss for process in processes)

    def _signal(self, number: signal.Signals) -> None:
        # Not os.kill(self.pid): that is 0 for a dead one, and 0 is the group of the tests.
        assert self.popen is not None
        self.popen.send_signal(number)

    def _end_group(self) -> None:
        if self.popen is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)
            self.popen.wait()
