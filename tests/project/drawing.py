"""Draw the project's rooms from its imports, in docs/architecture.md.

`python -m tests.project.drawing` rewrites the drawings.

An arrow means "imports". Arrows that follow from others are left out.
"""

from __future__ import annotations

import re

from tests.harness.processes import ROOT
from tests.project.source import PACKAGES, imported, modules

PAGE = ROOT / "docs" / "architecture.md"
APART = {"benchmarks", "demo"}  # they may import anything
BLOCK = r"(<!-- drawing: {} -->\n```mermaid\n).*?(```\n)"

Arrows = dict[str, set[str]]


def packages() -> list[str]:
    """Return the project's packages at the top level, those apart left out."""
    return [name for name in PACKAGES if name not in APART]


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
            for path in modules(name)
            for module in imported(path)
            for other in names
            if other != name and f"{module}.".startswith(f"{other}.")
        }
        for name in names
    }


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
        assert found, f"the page has no drawing of the {title}"
        text = text.replace(found[0], found[1] + mermaid(names) + found[2])
    return text


if __name__ == "__main__":
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
