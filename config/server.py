"""One server program of a data directory: whether it runs, starting it, stopping it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from config.errors import SaysWhatToDo

LOG_LIMIT = 10_000_000
START_ATTEMPTS = 5
POLL_SECONDS = 0.02


class ServerFailed(SaysWhatToDo):
    """A server did not start; the message has the end of its log and says what to do."""


@dataclass(frozen=True)
class Server:
    """This is one server: its foreground command, and how to know it from any other process."""

    name: str
    command: list[str]
    pid_file: Path
    mark: str  # what its command line has and no other process has
    log: Path
    stop_signals: Mapping[signal.Signals, float]  # tried in turn, with seconds to wait after each

    def pid(self) -> int | None:
        """Return the process id while the server runs; a recycled id does not deceive it."""
        pid = recorded_pid(self.pid_file)
        return pid if pid and self.mark in command_line(pid) else None

    def start(self, *, answers: Callable[[], bool], seconds: float) -> None:
        """Return when the server answers; after a crash it may need several attempts."""
        deadline = time.monotonic() + seconds
        for _ in range(START_ATTEMPTS):
            pid = self.pid() or self._spawn()
            while time.monotonic() < deadline and _lives(pid):
                if answers():
                    return
                time.sleep(POLL_SECONDS)
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)  # what a killed postmaster left behind needs a moment to go
        raise self.failure()

    def failure(self) -> ServerFailed:
        """Return the error to raise when the server does not answer."""
        return ServerFailed(
            f"{self.name} did not start. The end of {self.log}:\n{tail(self.log)}\n"
            f"Put right what the log names and start again."
        )

    def signal_stop(self) -> None:
        """Ask the server to stop and do not wait."""
        pid = self.pid()
        if pid:
            _send(pid, next(iter(self.stop_signals)))

    def stop(self) -> None:
        """Return when the server has gone, by ever harder signals."""
        pid = self.pid()
        if not pid:
            return
        for number, seconds in self.stop_signals.items():
            _send(pid, number)
            if wait_gone(pid, self.mark, seconds=seconds):
                return
        raise ServerFailed(f"{self.name} (process {pid}) does not stop, not even by SIGKILL.")

    def _spawn(self) -> int:
        # posix_spawn and not Popen: the server may outlive us, which Popen would warn about.
        _rotate(self.log)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        actions = [(os.POSIX_SPAWN_DUP2, null, 0)]
        actions += [(os.POSIX_SPAWN_DUP2, log, number) for number in (1, 2)]
        try:
            return os.posix_spawnp(
                self.command[0], self.command, os.environ, file_actions=actions, setsid=True
            )
        except OSError as error:
            raise ServerFailed(f"{self.command[0]} cannot be run: {error.strerror}.") from error
        finally:
            os.close(log)
            os.close(null)


def recorded_pid(pid_file: Path) -> int | None:
    """Return the process id on the first line of a pid file, if there is one."""
    try:
        return int(pid_file.read_text(encoding="utf-8").split("\n")[0])
    except (OSError, ValueError):
        return None


def command_line(pid: int) -> str:
    """Return the command line of a process, and empty when it has ended."""
    proc = Path("/proc")
    if not (proc / "self/cmdline").exists():
        return _listed_command_line(pid)
    try:
        return (
            (proc / str(pid) / "cmdline")
            .read_bytes()
            .replace(b"\0", b" ")
            .decode("utf-8", "replace")
        )
    except OSError:
        return ""


def wait_gone(pid: int, mark: str, *, seconds: float) -> bool:
    """Return whether the process with this mark has ended within so many seconds."""
    deadline = time.monotonic() + seconds
    while _lives(pid) and mark in command_line(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def tail(log: Path, lines: int = 12) -> str:
    """Return the end of a log file."""
    try:
        text = log.read_bytes()[-8192:].decode("utf-8", "replace")
    except OSError:
        return "(no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def _listed_command_line(pid: int) -> str:
    listed = subprocess.run(
        ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return listed.stdout


def _lives(pid: int) -> bool:
    try:
        # Reaps our own child, which would stay a zombie otherwise.
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return bool(command_line(pid))


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
