"""docs/architecture.md is true: drawings, folders, files and functions."""

from __future__ import annotations

import ast
import re

from tests.harness.processes import ROOT
from tests.project.drawing import PAGE, drawn, packages, rooms

TEXT = PAGE.read_text(encoding="utf-8")
FOLDER = re.compile(r"^\| `([\w/]+)/` \| .+ \|$", re.MULTILINE)
# A file, and the functions or classes of it that are named after it.
NAMED = re.compile(r"`([\w/]+\.py)`((?:\s+(?:and\s+)?`[A-Za-z_.]+`)+)")


def test_the_drawings_are_those_of_the_imports() -> None:
    assert drawn(TEXT) == TEXT, "run `python -m tests.project.drawing`"


def test_each_folder_has_a_line() -> None:
    folders = [folder.replace("/", ".") for folder in FOLDER.findall(TEXT)]

    assert sorted(folders) == sorted([*packages(), *rooms(), "benchmarks", "demo", "tests"])


def test_each_function_that_is_named_exists() -> None:
    named = [
        (path, name)
        for path, names in NAMED.findall(TEXT)
        for name in re.findall(r"`([\w.]+)`", names)
    ]

    assert len(named) > 20
    assert [(path, name) for path, name in named if name not in names_in(path)] == []


def names_in(path: str) -> set[str]:
    """Return the functions, classes and methods (Class.method) that a file defines."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef))
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found
