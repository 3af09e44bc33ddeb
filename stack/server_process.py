"""Start and stop one server process that runs in the background and is found by its pid file."""

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.processes import command_line, is_alive, recorded_pid, send, wait_until_ended
from stack.terminal import SaysWhatToDo

LOG_LIMIT = 10_000_000
START_ATTEMPTS = 5
POLL_SECONDS = 0.02


class ServerFailed(SaysWhatToDo):
    """A server did not start; the message has the end of its log and says what to do."""


@dataclass(frozen=True)
class Server:
    """One server: its command, and what tells its process from all others."""

    name: str
    command: list[str]
    pid_file: Path
    signature: str  # a part of its command line that no other process has
    log: Path
    stop_signals: Mapping[signal.Signals, float]  # sent in turn, with seconds to wait after each

    def pid(self) -> int | None:
        """Return the server's process id, or None if it does not run.

        The command line is compared too: another process may have the recorded id by now.
        """
        pid = recorded_pid(self.pid_file)
        return pid if pid and self.signature in command_line(pid) else None

    def start(self, *, responds: Callable[[], bool], seconds: float) -> None:
        """Start the server if it does not run, and return when `responds()` is true.

        Raise ServerFailed after `seconds`, or if the process ended in each of several attempts.
        """
        deadline = time.monotonic() + seconds
        for _ in range(START_ATTEMPTS):
            pid = self.pid() or self._spawn()
            while time.monotonic() < deadline and is_alive(pid):
                if responds():
                    return
                time.sleep(POLL_SECONDS)
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)  # child processes of a killed postmaster take a moment to end
        raise self.failure()

    def failure(self) -> ServerFailed:
        """Return the error to raise when the server does not respond."""
        return ServerFailed(
            f"{self.name} did not start. The end of {self.log}:\n{tail(self.log)}\n"
            f"Fix the cause that the log names, then start again."
        )

    def signal_stop(self) -> None:
        """Send the server the first stop signal, without waiting."""
        pid = self.pid()
        if pid:
            send(pid, next(iter(self.stop_signals)))

    def stop(self) -> None:
        """Send the stop signals in turn until the server has ended, or raise ServerFailed."""
        pid = self.pid()
        if not pid:
            return
        for number, seconds in self.stop_signals.items():
            send(pid, number)
            if wait_until_ended([pid], seconds=seconds, signature=self.signature):
                return
        raise ServerFailed(f"{self.name} (process {pid}) does not stop, not even by SIGKILL.")

    def _spawn(self) -> int:
        """Start the server in its own session, with its output in the log; return its pid."""
        # The server may outlive this process; Popen would warn about that, posix_spawn doesn't.
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


def tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a log file, indented for an error message."""
    try:
        text = log.read_bytes()[-8192:].decode("utf-8", "replace")
    except OSError:
        return "(no log)"
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])


def _rotate(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
