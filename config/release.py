"""Which release of the project this is, when the environment doesn't say so."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path


def of(folder: Path) -> str:
    """Return the commit that is checked out in a folder, or the version of its project."""
    return _commit(folder / ".git")[:12] or _version(folder / "pyproject.toml")


def _commit(git: Path) -> str:
    with suppress(OSError):
        if git.is_file():  # a worktree: its own HEAD is there, and branches are with the repository
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir: ").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        return _branch(git, head.removeprefix("ref: "))
    return ""


def _branch(git: Path, name: str) -> str:
    with suppress(OSError):
        git = git / (git / "commondir").read_text(encoding="utf-8").strip()
    with suppress(OSError):
        return (git / name).read_text(encoding="utf-8").strip()
    for line in (git / "packed-refs").read_text(encoding="utf-8").splitlines():
        if line.endswith(f" {name}"):
            return line.split()[0]
    return ""


def _version(project: Path) -> str:
    with suppress(OSError, KeyError):
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    return "unknown"
