"""Locks of processes on files; the kernel drops them when a process ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, waiting for it as long as it takes."""
    with opened(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def take(lock: IO[str]) -> bool:
    """Return whether we now hold the lock alone; do not wait."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def share(lock: IO[str]) -> None:
    """Hold the lock together with others."""
    fcntl.flock(lock, fcntl.LOCK_SH)


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock of a file alone."""
    with opened(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def opened(path: Path) -> IO[str]:
    """Return the file of a lock, made on first use."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")
