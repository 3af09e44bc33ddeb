"""End the processes that outlive their owner, for example a stack that was killed.

An owner sets one environment variable, the *mark*, in its processes; their children inherit it.
Run as a script, this module is the watcher: a process that waits for its owner's end (its standard
input is a pipe from the owner, which then closes) and ends all processes with the mark. The
watcher is run as a file and imports nothing of the project.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

VARIABLE = "ENDS_WITH"
# From the polite signal to SIGKILL: longer than a worker's soft shutdown (10 s).
END_SECONDS = 20.0
POLL_SECONDS = 0.1
PROC = Path("/proc")


def new_mark(owner: Path) -> str:
    """Return a new mark for one run of an owner, which is named by its data directory."""
    return f"{owner}#{os.getpid()}-{time.time_ns()}"


@contextmanager
def watching(mark: str, *, patience: float = 0.0) -> Iterator[None]:
    """End the processes with this mark when the block or this process ends, even by SIGKILL.

    They get `patience` seconds to end by themselves before the first signal.
    """
    read, write = os.pipe()
    environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
    command = [sys.executable, "-I", __file__, mark, str(patience)]
    # The watcher outlives this process; Popen would warn about that, posix_spawn doesn't.
    os.posix_spawn(
        command[0],
        command,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, read, 0)],
        setsid=True,
    )
    os.close(read)
    try:
        yield
    finally:
        os.close(write)


def left_by(owner: Path) -> list[int]:
    """Return the ids of all running processes with a mark of this owner, whichever its run."""
    return _having(f"{VARIABLE}={owner}#")


def end(pids: list[int], *, patience: float = 0.0, seconds: float = END_SECONDS) -> None:
    """End these processes, and return when they have ended.

    They get `patience` seconds to end by themselves, then a polite signal (SIGINT for PostgreSQL,
    else SIGTERM), and `seconds` later SIGKILL.
    """
    if _gone(pids, seconds=patience):
        return
    for pid in filter(_lives, pids):
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait until every client disconnects.
        polite = signal.SIGINT if _is_postgres(pid) else signal.SIGTERM
        _send(pid, polite)
    if not _gone(pids, seconds=seconds):
        for pid in filter(_lives, pids):
            _send(pid, signal.SIGKILL)
        _gone(pids, seconds=seconds)


def _having(words: str) -> list[int]:
    own = os.getpid()
    found = (pid for pid, environment in _environments() if words in environment and pid != own)
    return list(found)


def _environments() -> Iterator[tuple[int, str]]:
    """Yield the id and the environment of each process that this user may read."""
    if not PROC.exists():
        yield from _listed_environments()
        return
    for folder in PROC.iterdir():
        with suppress(OSError, ValueError):
            pid, text = int(folder.name), (folder / "environ").read_bytes()
            yield pid, text.decode("utf-8", "replace")


def _listed_environments() -> Iterator[tuple[int, str]]:
    """Yield process ids and environments where there is no /proc (macOS), from `ps`."""
    command = ["/bin/ps", "-axEww", "-o", "pid=,command="]
    listed = subprocess.run(command, capture_output=True, check=False).stdout
    for line in listed.decode("utf-8", "replace").splitlines():
        number, _, text = line.strip().partition(" ")
        if number.isdecimal():
            yield int(number), text


def _gone(pids: list[int], *, seconds: float) -> bool:
    """Wait up to `seconds` for the processes to end; return whether all have."""
    deadline = time.monotonic() + seconds
    while any(map(_lives, pids)):
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _lives(pid: int) -> bool:
    with suppress(ChildProcessError):  # without this, a child of this process stays a zombie
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    with suppress(OSError):
        return ") Z " in (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    return False


def _is_postgres(pid: int) -> bool:
    with suppress(OSError):
        return (PROC / str(pid) / "comm").read_text(encoding="utf-8").strip() == "postgres"
    return False


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(OSError):
        os.kill(pid, number)


def main(mark: str, patience: str) -> None:
    """Wait until the owner ends, then end the processes with its mark."""
    sys.stdin.read()
    words = f"{VARIABLE}={mark}"
    end(_having(words), patience=float(patience))
    end(_having(words))  # processes that were started meanwhile


if __name__ == "__main__":
    main(*sys.argv[1:])
