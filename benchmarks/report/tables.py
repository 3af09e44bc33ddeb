"""Build the tables of a report, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE
from rich.console import JustifyMethod
from rich.table import Table as RichTable

from benchmarks.report.measures import Measure, Round, number, spread
from benchmarks.report.scenarios import SCENARIOS

Rounds = Mapping[str, Sequence[Round]]


@dataclass(frozen=True)
class Table:
    """A table. All columns except the first hold numbers, unless `texts` names them."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: frozenset[str] = frozenset()

    def is_text(self, column: str) -> bool:
        """Return whether a column holds text, which is aligned left."""
        return column == self.columns[0] or column in self.texts


def tables(results: Mapping[str, Any]) -> dict[str, Table]:
    """Return every table for which there are results, by name."""
    found = {"goals": goals(results), "machine": machine(results)}
    rounds = results.get("rounds") or {}
    for name in SCENARIOS:
        if rounds.get(name):
            found[name] = scenario(name, rounds[name])
    if rounds.get("growth"):
        found["growth"] = growth(rounds["growth"])
    return {name: table for name, table in found.items() if table.rows}


def scenario(name: str, systems: Rounds) -> Table:
    """Return a scenario's table: one row per system, without columns that are all empty."""
    shown = SCENARIOS[name]
    cells = {
        system: [spread(rounds, measure) for _, measure in shown.columns]
        for system, rounds in systems.items()
    }
    kept = [at for at in range(len(shown.columns)) if any(row[at] for row in cells.values())]
    return Table(
        shown.title,
        ["system", *[shown.columns[at][0] for at in kept]],
        [[system, *[str(row[at] or "–") for at in kept]] for system, row in cells.items()],
    )


def growth(systems: Rounds) -> Table:
    """Return the table of rates: one row per system, one column per size of the backlog."""
    sizes = sorted({int(one["events"]) for rounds in systems.values() for one in rounds})
    rows = [
        [system, *[str(spread(rounds, _rate_at(size)) or "–") for size in sizes]]
        for system, rounds in systems.items()
    ]
    columns = ["events/s at a backlog of", *[f"{size:,}" for size in sizes]]
    return Table("The same work, more of it", columns, rows)


def _rate_at(size: int) -> Measure:
    return lambda one: one["rate"] if one["events"] == size else None


def goals(results: Mapping[str, Any]) -> Table:
    """Return the table of goals and measured figures."""
    rows = [
        [
            goal["name"], number(goal.get("ours")), number(goal.get("peer")),
            number(goal.get("ratio")), goal["goal"], "yes" if goal["met"] else "no",
            goal.get("spread") or "",
        ]
        for goal in results.get("goals") or []
    ]  # fmt: skip
    columns = ["", "ours", "peer", "ratio", "goal", "met", "spread"]
    return Table("The goals", columns, rows, frozenset(["goal", "met", "spread"]))


def machine(results: Mapping[str, Any]) -> Table:
    """Return the table of the run's machine, servers and packages."""
    facts = dict(results.get("machine") or {})
    packages = facts.pop("packages", None) or {}
    rows = [[name.replace("_", " "), _fact(value)] for name, value in facts.items()]
    rows += [[name, str(version)] for name, version in sorted(packages.items())]
    return Table("The machine", ["machine", ""], rows, frozenset([""]))


def _fact(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def as_rich(table: Table) -> RichTable:
    """Return a table for the terminal, with spreads below the medians to save width."""
    drawn = RichTable(title=table.title, title_justify="left", box=SIMPLE, padding=0)
    for column in table.columns:
        side: JustifyMethod = "left" if table.is_text(column) else "right"
        drawn.add_column(column, justify=side)
    for row in table.rows:
        drawn.add_row(row[0], *[cell.replace(" (", "\n(") for cell in row[1:]])
    return drawn


def as_markdown(table: Table) -> str:
    """Return a table in Markdown."""
    ruler = ["---" if table.is_text(column) else "--:" for column in table.columns]
    lines = [table.columns, ruler, *table.rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
                     for line in lines)  # fmt: skip
