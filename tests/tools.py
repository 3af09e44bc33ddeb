"""Programs that tests need and Python has no package of: from the PATH, or from Debian's archive.

What is fetched stays in .data/tools, so that the second run is instant. Nobody needs to be root:
apt works in directories of our own, and what it fetches is unpacked, not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from config.locks import locked
from tests.running import ROOT

TOOLS = ROOT / ".data" / "tools"
SECONDS = 150  # for one command of apt


class ToolMissing(RuntimeError):
    """A program is neither on the PATH nor to be had; the message says what to install."""


def tool(name: str, *, package: str, tools: Path = TOOLS) -> Path:
    """This answers the path of a program that is on the PATH, or in a Debian package."""
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
            raise ToolMissing(f"{advice}: the package of this system does not contain it.")
        shutil.rmtree(tools / package, ignore_errors=True)
        (own / "unpacked").rename(tools / package)


def _options(own: Path) -> list[str]:
    """These keep apt to directories of our own; only its sources and keys are the system's."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": f"{own}/state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": f"{own}/cache",
        "Dir::Log": str(own),
        # Root would become a user to whom these directories are closed.
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
