"""Find the project's packages and their modules, for the rules about its code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.harness.processes import ROOT

# Every package at the top level except the tests.
PACKAGES = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
PACKAGES.remove("tests")


def modules(package: str) -> Iterator[Path]:
    """Yield the files of a package (a.b.c), except migrations."""
    for path in (ROOT / package.replace(".", "/")).rglob("*.py"):
        if "migrations" not in path.parts:
            yield path


def imported(path: Path) -> Iterator[str]:
    """Yield the modules and names (a.b.c) that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
