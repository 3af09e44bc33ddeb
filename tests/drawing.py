"""Draw the project's rooms from its own imports: `python -m tests.drawing` rewrites the drawings.

An arrow means "imports". Arrows that follow from others are left out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.running import ROOT

PAGE = ROOT / "docs" / "architecture.md"
APART = {"tests", "benchmarks", "demo"}  # they may import anything
BLOCK = r"(<!-- drawing: {} -->\n```mermaid\n).*?(```\n)"

Arrows = dict[str, set[str]]


def packages() -> list[str]:
    """Return the project's packages at the top level, those apart left out."""
    return sorted(
        path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name not in APART
    )


def rooms() -> list[str]:
    """Return the rooms of eventbook."""
    return sorted(
        f"eventbook.{path.parent.name}"
        for path in ROOT.glob("eventbook/*/__init__.py")
        if path.parent.name != "migrations"
    )


def arrows(names: list[str]) -> Arrows:
    """Return which of the packages imports which other ones."""
    return {
        name: {
            other
            for path in (ROOT / name.replace(".", "/")).rglob("*.py")
            if "migrations" not in path.parts
            for module in imported(path)
            for other in names
            if other != name and f"{module}.".startswith(f"{other}.")
        }
        for name in names
    }


def imported(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, in functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def reduced(graph: Arrows) -> Arrows:
    """Leave out each arrow that a longer way replaces."""

    def reach(name: str) -> set[str]:
        return graph[name].union(*(reach(other) for other in graph[name]))

    return {
        name: others - set().union(*(reach(other) for other in others))
        for name, others in graph.items()
    }


def mermaid(names: list[str]) -> str:
    """Return the drawing of some packages, in Mermaid's language."""
    lines = ["flowchart TD"]
    for name, others in reduced(arrows(names)).items():
        short = name.rpartition(".")[2]
        lines.append(f"    {short}")
        lines += [f"    {short} --> {other.rpartition('.')[2]}" for other in sorted(others)]
    return "\n".join(lines) + "\n"


def drawn(text: str) -> str:
    """Return the page with present drawings."""
    for title, names in (("packages", packages()), ("rooms", rooms())):
        found = re.search(BLOCK.format(title), text, re.DOTALL)
        if found:
            text = text.replace(found[0], found[1] + mermaid(names) + found[2])
    return text


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
