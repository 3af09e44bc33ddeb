"""Rules for the form of the code: short files, short functions, telling module names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.processes import ROOT
from tests.project.source import PACKAGES, modules

LONGEST_FILE, LONGEST_FUNCTION = 300, 40


def sources() -> Iterator[Path]:
    for package in PACKAGES:
        yield from modules(package)


def test_no_file_is_longer_than_300_lines() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources()
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    }

    assert long == {}


def test_no_function_is_longer_than_40_lines() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": lines
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > LONGEST_FUNCTION
    }

    assert long == {}


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "process_data"])
def test_no_module_has_a_name_that_says_nothing(word: str) -> None:
    assert [path.name for path in sources() if path.stem == word] == []


def test_requirements_name_no_index_host() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        lines = path.read_text().splitlines()

        assert not [line for line in lines if "://" in line or line.startswith("--index")]
        assert any("--hash=sha256:" in line for line in lines)
