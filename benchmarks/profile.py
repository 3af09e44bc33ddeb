"""`python -m benchmarks.profile SCENARIO`: show where the time of an event goes.

Run one scenario of Commonplace. Print, per event, the CPU time of each process, and the time and
WAL of each statement from pg_stat_statements.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import servers as bench
from benchmarks.__main__ import DATA

TOP = """
    SELECT calls, (total_exec_time + total_plan_time) * 1000, total_plan_time * 1000,
           wal_bytes::float, left(regexp_replace(query, '\\s+', ' ', 'g'), 70)
    FROM pg_stat_statements
    WHERE query !~ '^(VACUUM|CHECKPOINT|TRUNCATE|COPY|SELECT count|SELECT EXISTS|SELECT pg_)'
    ORDER BY 2 DESC LIMIT 15
"""


def main() -> None:
    """Run the scenario, and print its costs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("scenario", choices=["drain", "sustained", "latency"])
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--rate", type=int, default=50, help="events per second, for latency")
    options = parser.parse_args()
    with bench.connected(DATA) as (servers, session):
        session.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        session.execute("ALTER SYSTEM SET pg_stat_statements.track_planning = on")
        session.execute("SELECT pg_reload_conf()")
        run(servers, session, options)


def run(servers: Any, session: psycopg.Connection, options: argparse.Namespace) -> None:
    """Run the scenario twice, and show the second time."""
    from benchmarks import work
    from benchmarks.scenarios import latency, throughput
    from benchmarks.systems.base import System, running
    from benchmarks.systems.commonplace import Commonplace

    scenarios: dict[str, Callable[[System], dict[str, Any]]] = {
        "drain": lambda system: throughput.drain(system, options.events),
        "sustained": lambda system: throughput.sustained(system, options.events),
        "latency": lambda system: latency.at_rate(
            system, options.rate, options.events / options.rate
        ),
    }
    measure = scenarios[options.scenario]
    work.make_people(session)
    with running(Commonplace(), servers, session) as system:
        throughput.warm_up(system)
        measure(system)
        session.execute("SELECT pg_stat_statements_reset()")
        show(measure(system), session)


def show(figures: dict[str, Any], session: psycopg.Connection) -> None:
    """Print the figures per event."""
    events = figures["events"]
    console = Console()
    console.print(f"{figures['rate']:,.0f} events/s, {figures['wal_bytes'] / events:,.0f} B of WAL")
    for name, seconds in figures["cpu"].items():
        console.print(f"  {name:22}{1e6 * seconds / events:8,.0f} µs of CPU")
    table = Table("calls", "µs", "planning", "WAL B", "statement", box=None)
    for calls, total, planning, wal, text in session.execute(TOP).fetchall():
        row = (calls / events, total / events, planning / events, wal / events)
        table.add_row(*(f"{figure:,.3g}" for figure in row), text)
    console.print(table)


if __name__ == "__main__":
    main()
