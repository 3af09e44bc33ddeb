"""Simulate a full disk, with a small file system under a server's data."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.harness.processes import wait_for

CHUNK = b"\0" * 65_536


class Disk:
    """A small file system that can be filled."""

    def __init__(self, directory: Path) -> None:
        self.ballast = directory / "ballast"

    def fill(self) -> None:
        """Fill the disk to the last byte."""
        with suppress(OSError), self.ballast.open("ab", buffering=0) as ballast:
            while True:
                ballast.write(CHUNK)

    def clear(self) -> None:
        """Free the space again."""
        self.ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(directory: Path, *, spare: int) -> Iterator[Disk]:
    """Put a directory on its own file system, with `spare` MiB free. Its server must not run."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    aside = directory.with_name(f"{directory.name}.aside")
    run("cp", "-a", directory, aside)
    used = sum(file.stat().st_blocks * 512 for file in aside.rglob("*")) // 2**20
    run("mount", "-t", "tmpfs", "-o", f"size={used + spare}m", "tmpfs", directory)
    try:
        run("cp", "-a", f"{aside}/.", directory)
        yield Disk(directory)
    finally:
        # Processes may still be closing their files there.
        wait_for(lambda: is_unmounted(directory), seconds=20, what="nobody uses the disk")
        run("rm", "-r", aside)


def is_unmounted(directory: Path) -> bool:
    """Try to unmount the disk; return False while a process still uses it."""
    return subprocess.run(["umount", directory], check=False).returncode == 0


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True)
