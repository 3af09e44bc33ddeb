"""Measure a card of one author with very many followers, while others add cards as usual."""

from __future__ import annotations

from typing import Any

import psycopg

from benchmarks import work
from benchmarks.meter import Meter
from benchmarks.scenarios.latency import percentiles
from benchmarks.scenarios.throughput import figures, finish
from benchmarks.systems.base import System

CELEBRITY = work.PEOPLE + 1
RATE, SECONDS = 50, 4
FOLLOW = """
    INSERT INTO accounts_follow (follower_id, followed_id, notify, created_at)
    SELECT id, %s, true, now() FROM accounts_user WHERE id > %s
"""
# Seconds from the commit of the card to the commit of the last row that shows it to a follower.
SPREAD = """
    SELECT extract(epoch FROM max(pg_xact_commit_timestamp(row.xmin)) - max(card.at))::float
    FROM ({}) row JOIN (
        SELECT id, curator_id, pg_xact_commit_timestamp(xmin) AS at
        FROM cards_card WHERE curator_id = %s
    ) card ON card.id = row.card_id OR card.curator_id = row.merged_id
"""
ROWS = {
    "feeds_seconds": """
        SELECT xmin, card_id, NULL::bigint AS merged_id FROM feeds_timelineentry UNION ALL
        SELECT xmin, NULL, curator_id FROM feeds_mergedcurator
    """,
    "notifications_seconds": """
        SELECT xmin, card_id, NULL::bigint AS merged_id FROM notifications_notification
    """,
}


def make_followers(session: psycopg.Connection, followers: int) -> None:
    """Create a celebrity, and this many followers with notifications on."""
    # Skip foreign key checks, which would take very long.
    session.execute("SET session_replication_role = replica")
    work.add_people(session, CELEBRITY, CELEBRITY + followers)
    session.execute(FOLLOW, [CELEBRITY, CELEBRITY])
    session.execute("RESET session_replication_role")
    session.execute("ANALYZE accounts_user, accounts_follow")


def fan_out(system: System, *, beside_others: bool = True) -> dict[str, Any]:
    """Measure a celebrity's card, while others add cards at a rate of RATE per second."""
    work.clear(system.session)
    work.settle(system.session)
    others = list(work.plan(RATE * SECONDS if beside_others else 0))
    (card,) = [(id, CELEBRITY) for id, _ in work.plan(1)]
    cards = [*others[:RATE], card, *others[RATE:]]
    meter = Meter(system.servers, system.session, system.processes)
    system.write(cards, writers=2, rate=RATE)
    finish(system)
    found = figures(system, meter, len(cards)) | seconds_of(system.session)
    if others:
        measured = percentiles(system.session, others)
        found |= {f"neighbours_{name}": figure for name, figure in measured.items()}
    return found


def seconds_of(session: psycopg.Connection) -> dict[str, float]:
    """Return the seconds until all feeds, all notifications, and both were written."""
    found = {
        name: round(work.scalar(session, SPREAD.format(rows), [CELEBRITY]), 3)
        for name, rows in ROWS.items()
    }
    return found | {"seconds": max(found.values())}
