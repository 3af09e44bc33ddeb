"""What eventbook offers is what docs/public-names.md lists, and all of it can be imported."""

from __future__ import annotations

import ast
import re
from importlib import import_module

import pytest

from tests.harness.processes import ROOT

TEXT = (ROOT / "docs" / "public-names.md").read_text(encoding="utf-8")
SECTIONS = dict(
    re.findall(r"^## `([\w.]+)`[^\n]*\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
)
DOORS = {f"eventbook.{door}" for door in ("celery", "database", "observe", "operate", "stream")}


def listed(module: str) -> set[str]:
    """Return the names in the first column of a module's table."""
    cells = re.findall(r"^\| (`.*?`) \|", SECTIONS[module], re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_each_door_has_a_section() -> None:
    assert set(SECTIONS) == DOORS | {"eventbook", "eventbook.testing"}


@pytest.mark.parametrize("module", SECTIONS)
def test_what_is_listed_is_what_there_is(module: str) -> None:
    opened = import_module(module)

    assert set(opened.__all__) == listed(module)
    assert [name for name in opened.__all__ if getattr(opened, name, None) is None] == []


@pytest.mark.parametrize("module", ["eventbook", "eventbook.operate"])
def test_names_that_load_on_first_use_are_known_to_type_checkers(module: str) -> None:
    tree = ast.parse((ROOT / module.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    names = {
        alias.name
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert names == set(import_module(module).__all__)
