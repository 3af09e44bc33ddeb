"""Measurements of this process: its memory, from /proc where there is one, and its clock."""

from __future__ import annotations

import os
import resource
import time
from contextlib import suppress
from pathlib import Path

from eventbook.database.statements import execute

PROC = Path("/proc")
CGROUP = Path("/sys/fs/cgroup")
CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float"


def memory_bytes() -> int:
    """Return the memory of this process and its descendants; shared memory counts once.

    Without /proc: the peak memory of this process alone.
    """
    if not (PROC / "self" / "statm").exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return sum(_memory_of(pid) for pid in process_tree(os.getpid()))


def process_tree(pid: int) -> list[int]:
    """Return the pids of a process and all its descendants, parents first; from /proc."""
    children: list[int] = []
    with suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            children += map(int, (task / "children").read_text(encoding="utf-8").split())
    return [pid, *(each for child in children for each in process_tree(child))]


def _memory_of(pid: int) -> int:
    """Return a process's share of memory (PSS), or its resident memory if that is not readable."""
    process = PROC / str(pid)
    with suppress(OSError):
        for line in (process / "smaps_rollup").read_text(encoding="utf-8").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError):
        pages = int((process / "statm").read_text(encoding="utf-8").split()[1])
        return pages * resource.getpagesize()
    return 0  # the process has ended meanwhile


def memory_limit_bytes() -> int:
    """Return the memory of this machine, or the container's limit if that is lower."""
    limits = [os.sysconf("SC_PHYS_PAGES") * resource.getpagesize()]
    for path in _limit_files():
        with suppress(OSError, ValueError):  # without a limit, the file says "max"
            limits.append(int(path.read_text(encoding="utf-8")))
    return min(limits)


def _limit_files() -> list[Path]:
    """Return the files that may have the container's memory limit, by cgroup v2 and v1."""
    paths = [CGROUP / "memory.max", CGROUP / "memory" / "memory.limit_in_bytes"]
    with suppress(OSError):
        cgroups = (PROC / "self" / "cgroup").read_text(encoding="utf-8")
        own = cgroups.partition("0::/")[2].split("\n")[0]  # the only line of cgroup v2
        paths.append(CGROUP / own / "memory.max")
    return paths


def clock_ahead_seconds() -> float:
    """Return how many seconds this machine's clock is ahead of PostgreSQL's; negative if behind.

    PostgreSQL reads its clock at some moment between query and result. If that interval contains
    its time, return 0: a slow query must not look like a wrong clock.
    """
    before = time.time()
    ((theirs,),) = execute(CLOCK).rows
    after = time.time()
    if theirs < before:
        return float(before - theirs)
    return float(min(after - theirs, 0.0))
