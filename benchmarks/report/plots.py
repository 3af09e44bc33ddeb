"""Draw the plots of a report as SVG files, legible on white and on black.

The same results give the same bytes, without dates or random ids. Matplotlib is imported only when
drawing, because only the environment of `make bench` has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.report import panels

INK = "#888888"  # in the middle between black and white
STYLE = {
    "svg.fonttype": "none",  # keeps text as text, for small files
    "svg.hashsalt": "commonplace",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "grid.color": INK,
    "grid.alpha": 0.25,
    "figure.constrained_layout.use": True,
    "path.simplify": True,
}
WIDTH = 7.5
Rounds = Mapping[str, Mapping[str, list[Mapping[str, Any]]]]


def draw(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Draw every plot for which there are results; return the files."""
    import matplotlib as mpl

    folder.mkdir(parents=True, exist_ok=True)
    rounds = results.get("rounds") or {}
    drawn = []
    with mpl.rc_context(STYLE):
        for name, make in PLOTS.items():
            figure = make(rounds)
            if figure is not None:
                path = folder / f"{name}.svg"
                figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
                drawn.append(path)
    return drawn


def _figure(heights: list[float]) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, sum(heights)))
    axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)
    return figure, [row[0] for row in axes]


def drain(rounds: Rounds) -> Any:
    """Draw how fast each system drains a backlog."""
    systems = rounds.get("drain")
    if not systems:
        return None
    figure, (axes,) = _figure([panels.height(len(systems))])
    panels.rates(axes, systems, "events/s, from the first enqueue to the last row committed")
    return figure


def cpu(rounds: Rounds) -> Any:
    """Draw the CPU time per event, by component."""
    systems = {name: all for name, all in rounds.get("drain", {}).items() if panels.has_cpu(all)}
    if not systems:
        return None
    figure, (axes,) = _figure([panels.height(len(systems)) + 0.4])
    panels.costs(axes, systems, "CPU ms for each event of a drained backlog")
    return figure


def latency(rounds: Rounds) -> Any:
    """Draw latency at 50 and at 500 events per second."""
    found = {rate: rounds[f"latency_{rate}"] for rate in (50, 500) if rounds.get(f"latency_{rate}")}
    if not found:
        return None
    figure, all_axes = _figure([panels.height(len(systems)) for systems in found.values()])
    for axes, (rate, systems) in zip(all_axes, found.items(), strict=True):
        rows = {name: [("p50_ms", "p99_ms", panels.color(name))] for name in systems}
        panels.ranges(axes, systems, rows)
        axes.set_title(f"{rate} events/s")
    panels.share_scale(all_axes)
    all_axes[-1].set_xlabel("ms from commit to both effects: p50 to p99")
    return figure


def growth(rounds: Rounds) -> Any:
    """Draw the rate by size of the backlog."""
    systems = rounds.get("growth")
    if not systems:
        return None
    figure, (axes,) = _figure([3.2])
    panels.lines(axes, systems)
    axes.set_xlabel("events in the backlog")
    axes.set_ylabel("events/s")
    return figure


def mixed(rounds: Rounds) -> Any:
    """Draw the latency of interactive work, alone and beside a flood of bulk work."""
    systems = rounds.get("mixed")
    if not systems:
        return None
    figure, (axes,) = _figure([panels.height(2 * len(systems)) + 0.3])
    panels.ranges(axes, systems, {
        name: [
            ("alone_p50_ms", "alone_p99_ms", panels.QUIET),
            ("flooded_p50_ms", "flooded_p99_ms", panels.LOUD),
        ]
        for name in systems
    })  # fmt: skip
    panels.legend(axes, {"alone": panels.QUIET, "beside a flood": panels.LOUD})
    axes.set_xlabel("ms from commit to both effects: p50 to p99")
    return figure


def http(rounds: Rounds) -> Any:
    """Draw the rate and p99 of HTTP requests."""
    found = {name: rounds[name] for name in panels.HTTP if rounds.get(name)}
    if not found:
        return None
    figure, all_axes = _figure([panels.height(len(systems)) for systems in found.values()])
    for axes, (name, systems) in zip(all_axes, found.items(), strict=True):
        title, unit = panels.HTTP[name]
        panels.rates(axes, systems, unit, with_p99=True)
        axes.set_title(title)
    return figure


PLOTS: dict[str, Callable[[Rounds], Any]] = {
    "drain": drain,
    "cpu": cpu,
    "latency": latency,
    "growth": growth,
    "mixed": mixed,
    "http": http,
}
