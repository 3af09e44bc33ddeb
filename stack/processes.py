"""Running processes: found by pid file, command line or environment, and ended by signals."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.05
# From the polite signal to SIGKILL: longer than a worker's soft shutdown (10 s).
END_SECONDS = 20.0


def recorded_pid(pid_file: Path) -> int | None:
    """Return the process id on the first line of a pid file, or None without a readable one."""
    try:
        return int(pid_file.read_text(encoding="utf-8").split("\n")[0])
    except (OSError, ValueError):
        return None


def command_line(pid: int) -> str:
    """Return the command line of a process, or an empty string if there is no such process."""
    if not PROC.exists():
        return _ps("-o", "command=", "-p", str(pid))
    with suppress(OSError):
        text = (PROC / str(pid) / "cmdline").read_bytes()
        return text.replace(b"\0", b" ").decode("utf-8", "replace")
    return ""


def environments() -> Iterator[tuple[int, str]]:
    """Yield the id and the environment of each process whose environment this user may read."""
    if not PROC.exists():
        for line in _ps("-axE", "-o", "pid=,command=").splitlines():
            number, _, text = line.strip().partition(" ")
            if number.isdecimal():
                yield int(number), text
        return
    for folder in PROC.iterdir():
        with suppress(OSError, ValueError):
            pid, environment = int(folder.name), (folder / "environ").read_bytes()
            yield pid, environment.decode("utf-8", "replace")


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a child of this process that has ended is reaped."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not _is_zombie(pid)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, which may have ended already."""
    with suppress(OSError):
        os.kill(pid, number)


def wait_until_ended(pids: Sequence[int], *, seconds: float, signature: str = "") -> bool:
    """Wait up to `seconds` for processes to end; return whether all have ended.

    A process whose command line lacks `signature` is another one with a recycled id.
    """
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) and (not signature or signature in command_line(pid)) for pid in pids):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end_processes(
    pids: Sequence[int], *, grace_seconds: float = 0.0, seconds: float = END_SECONDS
) -> None:
    """End these processes, and return when they have ended.

    They get `grace_seconds` to end by themselves, then a polite signal (SIGINT for PostgreSQL,
    else SIGTERM), and `seconds` later SIGKILL.
    """
    if wait_until_ended(pids, seconds=grace_seconds):
        return
    for pid in filter(is_alive, pids):
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait until every client disconnects.
        send(pid, signal.SIGINT if _is_postgres(pid) else signal.SIGTERM)
    if not wait_until_ended(pids, seconds=seconds):
        for pid in filter(is_alive, pids):
            send(pid, signal.SIGKILL)
        wait_until_ended(pids, seconds=seconds)


def _ps(*options: str) -> str:
    """Return the output of ps(1), for systems without /proc, for example macOS."""
    command = ["/bin/ps", "-ww", *options]
    listed = subprocess.run(command, capture_output=True, check=False).stdout
    return listed.decode("utf-8", "replace")


def _is_zombie(pid: int) -> bool:
    with suppress(OSError):
        return ") Z " in (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return False


def _is_postgres(pid: int) -> bool:
    with suppress(OSError):
        return (PROC / str(pid) / "comm").read_text(encoding="utf-8").strip() == "postgres"
    return False
