"""Draw the parts of plots: bars, stacks, ranges and lines, one for each system."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.report.measures import Round, cpu_by_component, field, number, spread
from benchmarks.report.scenarios import HTTP as HTTP_SCENARIOS

Systems = Mapping[str, Sequence[Round]]

# All colours are legible on white and on black.
OURS, THEIRS = "#3987e5", "#8a8f98"
QUIET, LOUD = "#3987e5", "#e0803a"
COMPONENTS = {
    "producer": "#8a8f98",
    "client": "#5f6670",
    "web": "#b3679b",
    "relay": "#8a6fd1",
    "workers": "#3987e5",
    "broker": "#d9604c",
    "PostgreSQL": "#2e9e78",
}
MARKERS = "osD^v<>P"
CUT = 4  # bars are cut at this multiple of the median, or a long one would dwarf all others
HTTP = {name: (shown.title, shown.columns[0][0]) for name, shown in HTTP_SCENARIOS.items()}


def color(system: str) -> str:
    """Return a system's colour."""
    return OURS if system.lower().startswith("commonplace") else THEIRS


def height(rows: int) -> float:
    """Return the height of a plot with this many bars, in inches."""
    return 0.8 + 0.3 * rows


def has_cpu(rounds: Sequence[Round]) -> bool:
    """Return whether any round has CPU times."""
    return any(cpu_by_component(one) for one in rounds)


def legend(axes: Any, colors: Mapping[str, str]) -> None:
    """Draw a legend of colours above the plot."""
    for name, shade in colors.items():
        axes.plot([], [], color=shade, linewidth=6, label=name)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=len(colors), borderaxespad=0,
        handlelength=0.8, columnspacing=1.2,
    )  # fmt: skip


def rates(axes: Any, systems: Systems, unit: str, *, with_p99: bool = False) -> None:
    """Draw a bar for each system's median rate, with a line from its least to its greatest."""
    _name_rows(axes, list(systems))
    greatest = 0.0
    for at, (name, rounds) in enumerate(systems.items()):
        rate = spread(rounds, field("rate"))
        if rate is None:
            continue
        greatest = max(greatest, rate.greatest)
        axes.barh(at, rate.median, color=color(name), alpha=0.6, height=0.7)
        if rate.least < rate.greatest:
            axes.plot([rate.least, rate.greatest], [at, at], color=color(name), linewidth=2)
        p99 = spread(rounds, field("p99_ms")) if with_p99 else None
        text = number(rate.median) + (f", p99 {number(p99.median)} ms" if p99 else "")
        _label(axes, rate.greatest, at, text)
    axes.set_xlim(0, greatest * (1.3 if with_p99 else 1.12) or 1)
    axes.xaxis.set_major_formatter(_grouped)
    axes.set_xlabel(unit)


def costs(axes: Any, systems: Systems, unit: str) -> None:
    """Draw a bar of stacked components for each system; cut a bar much longer than the others."""
    _name_rows(axes, list(systems))
    stacks = {name: _stack(rounds) for name, rounds in systems.items()}
    limit = _limit([sum(stack.values()) for stack in stacks.values()])
    for at, stack in enumerate(stacks.values()):
        left = 0.0
        for component, value in stack.items():
            axes.barh(at, value, left=left, color=COMPONENTS[component], height=0.7)
            left += value
        if left > limit:
            _label(axes, limit, at, f"→ {number(left)}")
        else:
            _label(axes, left, at, number(left))
    axes.set_xlim(0, limit)
    is_cut = any(sum(stack.values()) > limit for stack in stacks.values())
    axes.set_xlabel(f"{unit} (→: the bar is cut)" if is_cut else unit)
    used = {component for stack in stacks.values() for component in stack}
    legend(axes, {name: shade for name, shade in COMPONENTS.items() if name in used})


def _stack(rounds: Sequence[Round]) -> dict[str, float]:
    found = [cpu_by_component(one) for one in rounds]
    medians = {name: statistics.median(one.get(name, 0.0) for one in found) for name in COMPONENTS}
    return {name: value for name, value in medians.items() if value}


def _limit(totals: Sequence[float]) -> float:
    return min(max(totals), CUT * statistics.median(totals)) * 1.15


def ranges(axes: Any, systems: Systems, rows: Mapping[str, Sequence[tuple[str, str, str]]]) -> None:
    """Draw lines from p50 to p99: `rows` has (p50 field, p99 field, colour) by system."""
    _name_rows(axes, list(systems))
    axes.set_xscale("log")
    axes.grid(axis="x")
    for at, (name, rounds) in enumerate(systems.items()):
        for number_of_row, (low, high, shade) in enumerate(rows[name]):
            offset = (number_of_row - (len(rows[name]) - 1) / 2) * 0.4
            p50, p99 = spread(rounds, field(low)), spread(rounds, field(high))
            if p50 is None or p99 is None:
                continue
            between = [p50.median, p99.median]
            axes.plot(between, [at + offset] * 2, color=shade, linewidth=2.5)
            axes.plot(between[:1], [at + offset], "o", color=shade, markersize=7)
            axes.plot(between[1:], [at + offset], "|", color=shade, markersize=11, mew=2.5)
            _label(axes, p99.median, at + offset, f"{number(p50.median)} – {number(p99.median)}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.margins(x=0.02)
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.2, high * 2.5)


def share_scale(all_axes: Sequence[Any]) -> None:
    """Give plots the same scale, so that they can be compared."""
    limits = [axes.get_xlim() for axes in all_axes]
    for axes in all_axes:
        axes.set_xlim(min(low for low, _ in limits), max(high for _, high in limits))


def lines(axes: Any, systems: Systems) -> None:
    """Draw a line for each system: its rate by size of the backlog."""
    axes.grid(axis="y")
    for (name, rounds), marker in zip(systems.items(), MARKERS * len(systems), strict=False):
        sizes = sorted({int(one["events"]) for one in rounds})
        found = [[one["rate"] for one in rounds if one["events"] == size] for size in sizes]
        medians = [statistics.median(of_size) for of_size in found]
        axes.plot(sizes, medians, color=color(name), marker=marker, linewidth=2)
        axes.fill_between(
            sizes, [min(one) for one in found], [max(one) for one in found],
            color=color(name), alpha=0.25, linewidth=0,
        )  # fmt: skip
        axes.annotate(
            name, (sizes[-1], medians[-1]), xytext=(8, 0), textcoords="offset points", va="center"
        )
    axes.set_ylim(bottom=0)
    low, high = axes.get_xlim()
    axes.set_xlim(max(0, low), high + 0.25 * (high - low))
    axes.xaxis.set_major_formatter(_grouped)
    axes.yaxis.set_major_formatter(_grouped)


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _grouped(value: float, _: int | None = None) -> str:
    return f"{value:,.0f}"


def _label(axes: Any, x: float, y: float, text: str) -> None:
    axes.annotate(text, (x, y), xytext=(5, 0), textcoords="offset points", va="center")
