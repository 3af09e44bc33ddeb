"""File locks between processes (flock); the kernel releases them when a process ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's exclusive lock during the block; wait for it without a time limit."""
    with open_lock_file(path) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def try_lock(lock: IO[str]) -> bool:
    """Try to get the exclusive lock without waiting; return whether this process now holds it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_shared(lock: IO[str]) -> None:
    """Get a shared lock, waiting while another process holds the exclusive one."""
    fcntl.flock(lock, fcntl.LOCK_SH)


def is_locked(path: Path) -> bool:
    """Return whether a process holds a file's exclusive lock."""
    with open_lock_file(path) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def open_lock_file(path: Path) -> IO[str]:
    """Open the file of a lock, creating it if needed; closing the file releases the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8")
