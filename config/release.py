"""The name of the running release, where the environment variable RELEASE is not set."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path


def release_name(folder: Path) -> str:
    """Return the commit checked out in a folder (12 digits), or else its project's version.

    The files are read directly: an image may have no git program.
    """
    return _commit(folder / ".git")[:12] or _version(folder / "pyproject.toml")


def _commit(git: Path) -> str:
    """Return the id of the commit that HEAD names, or an empty string."""
    with suppress(OSError):
        if git.is_file():  # a worktree, whose HEAD is in another directory, named in this file
            git = git.parent / git.read_text(encoding="utf-8").removeprefix("gitdir: ").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref: "):
            return head
        return _branch(git, head.removeprefix("ref: "))
    return ""


def _branch(git: Path, name: str) -> str:
    """Return the id of the commit of a branch, from its own file or from packed-refs."""
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
