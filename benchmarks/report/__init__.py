"""Report a run: tables in the terminal, plots and figures in the documents."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.report.documents import filled
from benchmarks.report.plots import draw
from benchmarks.report.tables import as_rich, tables

ROOT = Path(__file__).resolve().parent.parent.parent
LATEST = ROOT / "benchmarks" / "results" / "latest.json"
DOCUMENTS = (ROOT / "docs" / "performance.md", ROOT / "docs" / "brokers.md")
PLOTS = ROOT / "docs" / "performance"


def show(results: Mapping[str, Any], console: Console | None = None) -> None:
    """Print every table, the goals last."""
    console = console or Console()
    found = tables(results)
    goals = found.pop("goals", None)
    for table in [*found.values(), *([goals] if goals else [])]:
        console.print(as_rich(table), "")


def publish(results: Mapping[str, Any]) -> None:
    """Draw the plots, and write the figures into DOCUMENTS."""
    draw(results, PLOTS)
    for document in DOCUMENTS:
        document.write_text(filled(document.read_text(), tables(results)))
