"""Read figures from rounds, and combine rounds into one figure.

A *measure* is a function that returns one figure of a round, or None if the round lacks it.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Round = Mapping[str, Any]
Measure = Callable[[Round], float | None]

MIB = 2**20
# The component of each process; processes with other names are workers.
COMPONENTS = {
    "benchmark": "producer",
    "producer": "producer",
    "client": "client",
    "web": "web",
    "relay": "relay",
    "broker": "broker",
    "postgres": "PostgreSQL",
}
WORKERS = "workers"


@dataclass(frozen=True)
class Spread:
    """The median of several rounds, with the least and the greatest value."""

    median: float
    least: float
    greatest: float

    def __str__(self) -> str:
        text = number(self.median)
        least, greatest = number(self.least), number(self.greatest)
        return text if least == greatest else f"{text} ({least}–{greatest})"


def spread(rounds: Iterable[Round], measure: Measure) -> Spread | None:
    """Return the spread of a measure over rounds; None if no round has it."""
    found = [value for one in rounds if (value := measure(one)) is not None]
    return Spread(statistics.median(found), min(found), max(found)) if found else None


def number(value: float | None) -> str:
    """Format a number with two or three significant digits, or more before the decimal point."""
    if value is None:
        return "–"
    size = abs(value)
    digits = 0 if size >= 100 or size == 0 else 1 if size >= 10 else 2 if size >= 0.1 else 3
    return f"{value:,.{digits}f}"


def field(name: str, *, times: float = 1.0) -> Measure:
    """Return the measure of a field, multiplied by `times`."""

    def measure(one: Round) -> float | None:
        value = one.get(name)
        return None if value is None else float(value) * times

    return measure


def each(name: str, *, times: float = 1.0) -> Measure:
    """Return the measure of a field per event, multiplied by `times`."""

    def measure(one: Round) -> float | None:
        value, events = one.get(name), one.get("events")
        return None if value is None or not events else float(value) * times / float(events)

    return measure


def cpu_each(one: Round) -> float | None:
    """Return the CPU milliseconds per event of all processes and servers."""
    used = cpu_by_component(one)
    return sum(used.values()) if used else None


def cpu_by_component(one: Round) -> dict[str, float]:
    """Return the CPU milliseconds per event by component."""
    events = one.get("events")
    found: dict[str, float] = {}
    for process, seconds in (one.get("cpu") or {}).items():
        component = COMPONENTS.get(process, WORKERS)
        if events:
            found[component] = found.get(component, 0.0) + seconds * 1000 / events
    return found


def memory(one: Round) -> float | None:
    """Return the memory of all of the system's processes, in MiB."""
    sizes = _sizes(one)
    return sum(sizes) / MIB if sizes else None


def largest_memory(one: Round) -> float | None:
    """Return the memory of the largest process group, in MiB."""
    sizes = _sizes(one)
    return max(sizes) / MIB if sizes else None


def _sizes(one: Round) -> Sequence[float]:
    found = one.get("memory")
    if found is None:
        return []
    return list(found.values()) if isinstance(found, Mapping) else [float(found)]
