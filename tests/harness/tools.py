"""Find programs that tests need and PyPI lacks: on the PATH, or in Debian's archive.

Fetched programs are kept in .data/tools, so that the second run is fast. Root is not needed: apt
uses our own directories, and packages are unpacked, not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from stack.locks import locked
from tests.harness.processes import ROOT

TOOLS = ROOT / ".data" / "tools"
SECONDS = 150  # timeout of one command


class ToolMissing(RuntimeError):
    """A program is neither on the PATH nor can be fetched; the message says what to install."""


def tool(name: str, *, package: str, tools: Path = TOOLS) -> Path:
    """Return the path of a program on the PATH, or fetch it from a Debian package.

    Raise ToolMissing if neither is possible.
    """
    if found := shutil.which(name):
        return Path(found)
    path = tools / package / "usr" / "bin" / name
    if not path.exists():
        with locked(tools / f"{package}.lock"):
            if not path.exists():
                _fetch(name, package, tools)
    return path


def _fetch(name: str, package: str, tools: Path) -> None:
    advice = f"{name} is needed: install it (on Debian and Ubuntu, it is in the package {package})"
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise ToolMissing(f"{advice}, and have it on the PATH.")
    with tempfile.TemporaryDirectory(dir=tools) as folder:
        own = Path(folder)
        try:
            _run(own, "apt-get", *_options(own), "update")
            _run(own, "apt-get", *_options(own), "download", package)
            (archive,) = own.glob("*.deb")
            _run(own, "dpkg-deb", "--extract", str(archive), "unpacked")
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            told = (getattr(error, "stderr", None) or b"").decode(errors="replace")
            raise ToolMissing(f"{advice}. Fetching it failed: {error}\n{told}") from error
        if not (own / "unpacked" / "usr" / "bin" / name).exists():
            raise ToolMissing(f"{advice}: this system's package does not contain it.")
        shutil.rmtree(tools / package, ignore_errors=True)
        (own / "unpacked").rename(tools / package)


def _options(own: Path) -> list[str]:
    """Return options with which apt uses our own directories, but the system's sources and keys."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": f"{own}/state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": f"{own}/cache",
        "Dir::Log": str(own),
        # As root, apt would switch to a user without access to these directories.
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
    }
    return ["-qq", *(f"-o{name}={value}" for name, value in settings.items())]


def _run(own: Path, *command: str) -> None:
    environment = os.environ | {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        command, cwd=own, env=environment, check=True, capture_output=True, timeout=SECONDS
    )
