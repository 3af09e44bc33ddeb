"""Server programs from Debian's packages, unpacked under .servers/ without root's privileges.

apt verifies the signatures of packages. Its lists and downloads are kept under .servers/ too,
because only root may change the system's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from stack import locks
from stack.binaries import ProgramMissing

SERVERS = Path(__file__).resolve().parent.parent / ".servers"
TIMEOUT_SECONDS = 300


class Program(NamedTuple):
    """A program, and the environment variables with which it finds its libraries."""

    path: Path
    environment: dict[str, str]


def program(name: str, package: str) -> Program:
    """Return a program of this system, or else of a package; raise as `unpacked` does."""
    if installed := shutil.which(name):
        return Program(Path(installed), {})
    folder = unpacked(package)
    libraries = ":".join(map(str, folder.glob("usr/lib/*-linux-gnu")))
    return Program(folder / "usr/bin" / name, {"LD_LIBRARY_PATH": libraries})


def unpacked(package: str) -> Path:
    """Return the folder with the files of a package, and of all it needs that isn't installed.

    The first call downloads and unpacks them. Raise ProgramMissing on a system without apt, or if
    the download fails.
    """
    folder = SERVERS / package
    with locks.locked(SERVERS / f"{package}.lock"):
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(prefix=f"{package}.", dir=SERVERS))
            try:
                _unpack(package, unfinished)
                # Renamed at the end: an interrupted call leaves no half of a package.
                unfinished.chmod(0o755)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _unpack(package: str, folder: Path) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise ProgramMissing(f"Only Debian's apt can fetch {package} here: install it yourself.")
    apt = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "packages"):
        (apt / name).mkdir(parents=True)
    options = {
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "Debug::NoLocking": "1",
        # As root, apt would download as another user, who can't write here.
        "APT::Sandbox::User": "root",
    }
    command = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]
    _run([*command, "update", "--error-on=any"], apt)
    plan = _run([*command, "install", "--simulate", "--no-install-recommends", package], apt)
    needed = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
    if not needed:
        raise ProgramMissing(f"{package} is installed, but its programs are not on the PATH.")
    _run([*command, "download", *needed], apt / "packages")
    for archive in sorted((apt / "packages").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(folder)], apt)
    shutil.rmtree(apt)


def _run(command: list[str], folder: Path) -> str:
    """Run a command in a folder and return its output; raise ProgramMissing if it fails."""
    try:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True,
            timeout=TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ProgramMissing(f"{' '.join(command)} took over {TIMEOUT_SECONDS} s.") from error
    if done.returncode:
        raise ProgramMissing(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return done.stdout
