"""`python -m benchmarks.snapshots`: measure latency while a session holds an old snapshot.

A dump holds such a snapshot. PostgreSQL then keeps deleted rows, and each scan of a queue from its
beginning steps over them. Latency is measured after every `--events` events.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg

from benchmarks import servers as bench
from benchmarks import work
from benchmarks.__main__ import DATA

RATE, SECONDS = 50, 4


def main() -> None:
    """Measure without an old snapshot and with one, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.snapshots")
    parser.add_argument("--events", type=int, default=20_000, help="events per step")
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    with bench.connected(DATA) as (servers, session):
        work.make_people(session)
        for held in (False, True):
            for figures in measure(servers, session, options, held=held):
                words = "  ".join(f"{name} {figure:g}" for name, figure in figures.items())
                print(f"snapshot {'held' if held else 'none':6}{words}", flush=True)


def measure(
    servers: Any, session: psycopg.Connection, options: argparse.Namespace, *, held: bool
) -> Iterator[dict[str, float]]:
    """Yield, after each step, the number of events so far and the latency in ms."""
    from benchmarks.scenarios import latency, throughput
    from benchmarks.systems.base import running
    from benchmarks.systems.commonplace import Commonplace

    with running(Commonplace(), servers, session) as system:
        throughput.warm_up(system)
        work.clear(session)
        with snapshot(servers) if held else nullcontext():
            for step in range(1, options.steps + 1):
                system.write(work.plan(options.events), writers=8)
                throughput.finish(system)
                cards = work.plan(RATE * SECONDS)
                system.write(cards, writers=1, rate=RATE)
                throughput.finish(system)
                yield {"events": step * options.events} | latency.percentiles(session, cards)


@contextmanager
def snapshot(servers: Any) -> Iterator[None]:
    """Hold a snapshot during the block, so that PostgreSQL keeps rows deleted meanwhile."""
    with psycopg.connect(servers.database_url) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.execute("SET idle_in_transaction_session_timeout = 0")
        session.execute("SELECT count(*) FROM eventbook_event")
        yield
        session.rollback()


if __name__ == "__main__":
    main()
