"""Control of one supervisord: start it, send it requests, and stop it with all its children."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from xmlrpc.client import Fault, ServerProxy

from supervisor.xmlrpc import SupervisorTransport

from stack.binaries import setpriv
from stack.processes import command_line, recorded_pid, send, wait_until_ended
from stack.programs import GROUP_STOP_SECONDS, SERVER_STOP_SECONDS

RESPONSE_SECONDS = 15
ORPHAN_SECONDS = 15
STOPPED = {"STOPPED", "EXITED", "FATAL", "UNKNOWN"}
FAILED = {"BACKOFF", "EXITED", "FATAL"}
RUNNING = "RUNNING"


class SupervisorGone(RuntimeError):
    """supervisord does not respond or has ended; its log in .data/log says why."""


class Supervisor:
    """The supervisord of one configuration file."""

    def __init__(self, conf: Path, run: Path, log: Path) -> None:
        self.conf = conf
        self.socket = run / "supervisor.sock"
        self.pid_file = run / "supervisord.pid"
        self.log = log
        self.pids: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def wait_for_previous(self) -> None:
        """Wait until the supervisord of a killed stack has stopped its programs, or kill it."""
        pid = recorded_pid(self.pid_file)
        if pid and str(self.conf) in command_line(pid):
            seconds = GROUP_STOP_SECONDS + SERVER_STOP_SECONDS
            if not wait_until_ended([pid], seconds=seconds, signature=str(self.conf)):
                send(pid, signal.SIGKILL)

    def launch(self, environment: Mapping[str, str]) -> None:
        """Start supervisord without any program, and wait until it responds."""
        program = Path(sys.executable).parent / "supervisord"
        prefix = setpriv(death_signal="TERM")
        with (self.log / "supervisord.out").open("wb") as output:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, str(program), "-n", "-c", str(self.conf)],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C in the terminal must reach this process alone, which stops the programs
                # in order.
                start_new_session=True,
            )
        self._wait_for_response()

    def alive(self) -> bool:
        """Return whether supervisord runs."""
        return self._process is not None and self._process.poll() is None

    def processes(self) -> list[dict[str, str]]:
        """Return supervisor's record of each program (its `getAllProcessInfo`)."""
        infos: list[dict[str, str]] = self._call("getAllProcessInfo")
        return infos

    def states(self) -> dict[str, str]:
        """Return the state of each program in supervisor's terms; kill orphaned child processes."""
        infos = self.processes()
        current = {info["name"]: int(info["pid"]) for info in infos}
        self._end_orphans(current)
        self.pids = {name: pid for name, pid in current.items() if pid}
        return {info["name"]: info["statename"] for info in infos}

    def start(self, names: Iterable[str]) -> None:
        """Start programs without waiting for them."""
        for name in names:
            self._call("startProcess", name, False)

    def reread(self) -> tuple[list[str], list[str]]:
        """Reload the configuration file, and return the added and the removed programs."""
        ((added, _, removed),) = self._call("reloadConfig")
        return added, removed

    def start_added(self, names: Iterable[str]) -> None:
        """Start programs of the configuration, adding those that supervisord doesn't have yet."""
        for name in names:
            with suppress(Fault):  # already added
                self._call("addProcessGroup", name)
        self.start(names)

    def stop_and_remove(self, names: Iterable[str]) -> None:
        """Stop programs gracefully, and remove them from supervisord."""
        removed = set(names)
        self._stop_together(removed, lambda: False)
        for name in removed:
            with suppress(Fault):  # already removed
                self._call("removeProcessGroup", name)

    def stop(self, *stages: Iterable[str], hard: Callable[[], bool]) -> None:
        """Stop the programs stage by stage, those of one stage together, and then supervisord.

        As soon as `hard()` is true, waiting ends and all programs are killed.
        """
        with suppress(SupervisorGone):
            for stage in stages:
                if self.alive() and not hard():
                    self._stop_together(set(stage), hard)
        self._terminate(hard)
        self._kill_remaining(hard)

    def _stop_together(self, names: set[str], hard: Callable[[], bool]) -> None:
        """Stop programs, and wait until all have stopped, the time is up, or `hard()` is true."""
        for name in names:
            with suppress(Fault):  # not running
                self._call("stopProcess", name, False)
        deadline = time.monotonic() + GROUP_STOP_SECONDS + 5
        while time.monotonic() < deadline and not hard():
            states = self.states()
            if all(states[name] in STOPPED for name in names & states.keys()):
                return
            time.sleep(0.1)

    def _terminate(self, hard: Callable[[], bool]) -> None:
        """Send supervisord SIGTERM; then SIGKILL at the deadline, or when `hard()` is true."""
        if self._process is None:
            return
        self._process.terminate()
        deadline = time.monotonic() + 2 * SERVER_STOP_SECONDS
        while self.alive() and time.monotonic() < deadline and not hard():
            time.sleep(0.05)
        self._process.kill()
        self._process.wait()

    def _kill_remaining(self, hard: Callable[[], bool]) -> None:
        """Kill the programs that are left after a killed supervisord, once they had time to end."""
        # Programs outlive a killed supervisord. All have got their death signal, and most end at
        # once. A Celery worker may wait for ever, though: its broker has ended too.
        deadline = time.monotonic() + ORPHAN_SECONDS
        while any(map(_group_lives, self.pids.values())):
            if hard() or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        for pid in self.pids.values():
            _kill_group(pid)

    def _end_orphans(self, current: Mapping[str, int]) -> None:
        """Kill the child processes that ended programs have left; `current` are live programs."""
        # The child processes of a killed program would keep its port and its connections.
        for name, pid in self.pids.items():
            if current.get(name) != pid:
                _kill_group(pid)

    def _wait_for_response(self) -> None:
        """Wait until supervisord responds; raise SupervisorGone if it does not in time."""
        deadline = time.monotonic() + RESPONSE_SECONDS
        while time.monotonic() < deadline and self.alive():
            with suppress(SupervisorGone):
                self.states()
                return
            time.sleep(0.05)
        raise SupervisorGone(f"supervisord does not respond; see {self.log}/supervisord.log.")

    def _call(self, method: str, *arguments: object) -> list[Any]:
        """Call a method of supervisord's XML-RPC interface; raise SupervisorGone without one."""
        transport = SupervisorTransport(serverurl=f"unix://{self.socket}")
        try:
            with ServerProxy("http://localhost", transport=transport) as server:
                result = getattr(server.supervisor, method)(*arguments)
        except OSError as error:
            raise SupervisorGone(f"supervisord has ended; see {self.log}.") from error
        return result if isinstance(result, list) else []


def _group_lives(pid: int) -> bool:
    """Return whether a program's process group has a process left."""
    # Each program leads its own process group, so that its pid is the group's id.
    try:
        os.killpg(pid, 0)
    except OSError:
        return False
    return True


def _kill_group(pid: int) -> None:
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
