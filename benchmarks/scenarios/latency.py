"""Measure latency: from the commit of a card to the commit of both its effects."""

from __future__ import annotations

import statistics
import threading
from collections.abc import Sequence
from typing import Any

import psycopg

from benchmarks import work
from benchmarks.meter import Meter
from benchmarks.scenarios.throughput import figures, finish
from benchmarks.systems.base import System

# Uses the commit timestamps that PostgreSQL records, which are comparable between systems.
LATENCIES = """
    SELECT 1000 * extract(epoch FROM greatest(notified.at, shown.at)
                                     - pg_xact_commit_timestamp(card.xmin))::float
    FROM cards_card card
    JOIN (SELECT card_id, max(pg_xact_commit_timestamp(xmin)) AS at
          FROM notifications_notification GROUP BY card_id) notified ON notified.card_id = card.id
    JOIN (SELECT card_id, max(pg_xact_commit_timestamp(xmin)) AS at
          FROM feeds_timelineentry GROUP BY card_id) shown ON shown.card_id = card.id
    WHERE card.id = ANY(%s)
"""
INTERACTIVE = 50  # cards per second beside a flood


def at_rate(system: System, rate: int, seconds: float) -> dict[str, Any]:
    """Measure the latency of cards added at a rate, in cards per second."""
    work.clear(system.session)
    work.settle(system.session)
    cards = work.plan(int(rate * seconds))
    meter = Meter(system.servers, system.session, system.processes)
    system.write(cards, writers=1 if rate <= 100 else 8, rate=rate)
    finish(system)
    return figures(system, meter, len(cards)) | percentiles(system.session, cards)


def beside_a_flood(system: System, flood: int, seconds: float) -> dict[str, Any]:
    """Measure the latency of interactive cards, alone and then while bulk work is drained."""
    work.clear(system.session)
    background = work.plan(flood)
    work.insert(system.session, background)
    work.settle(system.session)
    alone, beside = (work.plan(int(INTERACTIVE * seconds)) for _ in range(2))
    system.write(alone, writers=1, rate=INTERACTIVE)
    meter = Meter(system.servers, system.session, system.processes)
    flooding = threading.Thread(target=system.flood, args=[background])
    flooding.start()
    system.write(beside, writers=1, rate=INTERACTIVE)
    flooding.join()
    finish(system)
    found = figures(system, meter, flood + len(alone) + len(beside))
    for name, cards in (("alone", alone), ("flooded", beside)):
        measured = percentiles(system.session, cards)
        found |= {f"{name}_{each}": figure for each, figure in measured.items()}
    return found


def percentiles(session: psycopg.Connection, cards: work.Cards) -> dict[str, float]:
    """Return the median and 99th percentile of the cards' latency, in milliseconds."""
    ids: Sequence[Any] = [id for id, _ in cards]
    milliseconds = [each for (each,) in session.execute(LATENCIES, [ids]).fetchall()]
    cuts = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}
