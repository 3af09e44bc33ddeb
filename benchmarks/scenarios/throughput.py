"""Measure throughput: draining a backlog, and keeping up with writers."""

from __future__ import annotations

from typing import Any

from benchmarks import work
from benchmarks.meter import Meter
from benchmarks.servers import wait_until
from benchmarks.systems.base import System

WRITERS = 8


def drain(system: System, events: int) -> dict[str, Any]:
    """Measure draining a backlog, from the first enqueue to the last committed row."""
    cards = prepare(system, events)
    meter = Meter(system.servers, system.session, system.processes)
    system.enqueue(cards)
    enqueued = meter.seconds
    finish(system)
    return figures(system, meter, events) | {"enqueued": enqueued}


def sustained(system: System, events: int) -> dict[str, Any]:
    """Measure cards that WRITERS writers commit one by one, until the last row is committed."""
    work.clear(system.session)
    work.settle(system.session)
    cards = work.plan(events)
    meter = Meter(system.servers, system.session, system.processes)
    system.write(cards, writers=WRITERS)
    written = meter.seconds
    finish(system)
    return figures(system, meter, events) | {"written": written}


def warm_up(system: System) -> None:
    """Let a system process 100 events first, to open connections and fill caches."""
    cards = prepare(system, 100)
    system.enqueue(cards)
    finish(system)
    work.check(system.session, len(cards))


def prepare(system: System, events: int) -> work.Cards:
    """Insert the cards of a backlog into an empty library, and return them."""
    cards = work.plan(events)
    work.clear(system.session)
    work.insert(system.session, cards)
    work.settle(system.session)
    return cards


def finish(system: System) -> None:
    """Wait until the system has no work left."""
    wait_until(system.is_done, seconds=600, what="all is done", processes=system.processes)


def figures(system: System, meter: Meter, events: int) -> dict[str, Any]:
    """Return the figures; raise work.WrongRows if rows are missing or wrong."""
    found = meter.end()
    rows = work.check(system.session, events)
    return found | {"events": events, "rows": rows, "rate": round(events / found["seconds"], 1)}
