"""How many events a second, when they are a backlog, and when writers go on adding to it."""

from __future__ import annotations

from typing import Any

from benchmarks import work
from benchmarks.meter import Meter
from benchmarks.servers import wait_until
from benchmarks.systems.base import System

WRITERS = 8


def drain(system: System, events: int) -> dict[str, Any]:
    """Measure a backlog: from the first enqueue to the last row committed."""
    cards = prepare(system, events)
    meter = Meter(system.servers, system.session, system.processes)
    system.enqueue(cards)
    enqueued = meter.seconds
    finish(system)
    return figures(system, meter, events) | {"enqueued": enqueued}


def sustained(system: System, events: int) -> dict[str, Any]:
    """Measure cards that eight writers commit one by one, until the last row is there."""
    work.clear(system.session)
    work.settle(system.session)
    cards = work.plan(events)
    meter = Meter(system.servers, system.session, system.processes)
    system.write(cards, writers=WRITERS)
    written = meter.seconds
    finish(system)
    return figures(system, meter, events) | {"written": written}


def warm_up(system: System) -> None:
    """Let a system do a little of everything first: connections, caches, plans."""
    cards = prepare(system, 100)
    system.enqueue(cards)
    finish(system)
    work.check(system.session, len(cards))


def prepare(system: System, events: int) -> work.Cards:
    """Make the cards of a backlog."""
    cards = work.plan(events)
    work.clear(system.session)
    work.insert(system.session, cards)
    work.settle(system.session)
    return cards


def finish(system: System) -> None:
    """Wait until all is done."""
    wait_until(system.is_done, seconds=600, what="all is done", processes=system.processes)


def figures(system: System, meter: Meter, events: int) -> dict[str, Any]:
    """Return what was measured, if the work was done."""
    found = meter.end()
    rows = work.check(system.session, events)
    return found | {"events": events, "rows": rows, "rate": round(events / found["seconds"], 1)}
