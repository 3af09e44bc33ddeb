"""End the processes that outlive their owner, for example a stack that was killed.

An owner sets one environment variable, the *mark*, in its processes; their children inherit it.
Run as a program, this module is the watcher: a process that waits for its owner's end (its standard
input is a pipe from the owner, which then closes) and ends all processes with the mark.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.processes import end_processes, environments

VARIABLE = "ENDS_WITH"


def new_mark(owner: Path) -> str:
    """Return a new mark for one run of an owner, which is named by its data directory."""
    return f"{owner}#{os.getpid()}-{time.time_ns()}"


@contextmanager
def watching(mark: str, *, grace_seconds: float = 0.0) -> Iterator[None]:
    """End the processes with this mark when the block or this process ends, even by SIGKILL.

    They get `grace_seconds` to end by themselves before the first signal.
    """
    read, write = os.pipe()
    # Without the mark, which would end the watcher of an owner that is itself watched.
    environment = {name: text for name, text in os.environ.items() if name != VARIABLE}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    # -P: modules of the current directory must not replace ours.
    command = [sys.executable, "-P", "-m", "stack.watcher", mark, str(grace_seconds)]
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


def processes_of(owner: Path) -> list[int]:
    """Return the ids of all running processes with a mark of this owner, whichever its run."""
    return _with_mark(f"{owner}#")


def _with_mark(beginning: str) -> list[int]:
    """Return the ids of the processes whose mark begins like this, without this process."""
    text, own = f"{VARIABLE}={beginning}", os.getpid()
    return [pid for pid, environment in environments() if text in environment and pid != own]


def main(mark: str, grace_seconds: str) -> None:
    """Wait until the owner ends, then end the processes with its mark."""
    sys.stdin.read()
    end_processes(_with_mark(mark), grace_seconds=float(grace_seconds))
    end_processes(_with_mark(mark))  # processes that were started meanwhile


if __name__ == "__main__":
    main(*sys.argv[1:])
