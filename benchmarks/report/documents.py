"""Fill in the figures of documents: blocks between markers, which only the benchmark writes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from benchmarks.report.scenarios import SCENARIOS
from benchmarks.report.tables import Table, as_markdown

BLOCK = re.compile(r"(<!-- figures: (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
NAMES = frozenset([*SCENARIOS, "goals", "growth", "machine"])


class UnknownFigures(ValueError):
    """A document names figures that no report has."""


def names(text: str) -> list[str]:
    """Return the names of the figures that a document includes."""
    return [block["name"] for block in BLOCK.finditer(text)]


def filled(text: str, tables: Mapping[str, Table]) -> str:
    """Return the document with these tables in its blocks, or a note where one is missing.

    Raise UnknownFigures for a name that no run can have.
    """
    unknown = sorted(set(names(text)) - NAMES)
    if unknown:
        raise UnknownFigures(f"No report has {', '.join(unknown)}; there are {sorted(NAMES)}.")

    def fill(block: re.Match[str]) -> str:
        table = tables.get(block["name"])
        body = as_markdown(table) if table else "*Not measured in this run.*"
        return f"{block[1]}\n{body}\n\n{block[3]}"

    return BLOCK.sub(fill, text)
