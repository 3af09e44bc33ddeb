"""`python -m benchmarks.streams`: measure the cost of idle live streams, and their latency.

Each user holds one stream to the same web process, and has 100 timeline entries and 60
notifications.
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from typing import Any

import psutil
import psycopg

from benchmarks import servers as bench
from benchmarks.__main__ import DATA
from benchmarks.http import library, running
from benchmarks.http.lengths import Size
from benchmarks.http.sites import Commonplace
from eventbook.database.ids import new_id

SECONDS = 20  # duration of the idle measurement
NOTIFICATIONS_SENT = 30  # one by one
TIMELINES = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT owner, card.id, card.curator_id
    FROM generate_series(2, %s::int) owner CROSS JOIN LATERAL (
        SELECT id, curator_id FROM cards_card ORDER BY id DESC OFFSET owner %% 500 LIMIT 100
    ) card
    ON CONFLICT DO NOTHING
"""
NOTIFICATIONS = """
    INSERT INTO notifications_notification (recipient_id, event_id, kind, actor_id, created_at)
    SELECT recipient, uuidv7(-random() * interval '9 days'), 'IMPORTED', 1, now()
    FROM generate_series(2, %s::int) recipient, generate_series(1, 60)
"""
NOTIFY = """
    INSERT INTO notifications_notification (recipient_id, event_id, kind, actor_id, created_at)
    SELECT recipient, %s, 'IMPORTED', 1, now() FROM generate_series(%s::int, %s::int) recipient
"""


class OneWorker(Commonplace):
    """Commonplace's site with a single web process."""

    def program(self) -> tuple[list[str], dict[str, str]]:
        """Return the command in fly.toml, with one worker."""
        command, variables = super().program()
        return command, variables | {"WEB_PROCESSES": "1"}


class Costs:
    """Measures the CPU time of the web process and PostgreSQL."""

    def __init__(self, site: OneWorker) -> None:
        self.site, self.at = site, time.monotonic()
        self.before = self._seconds()

    def so_far(self) -> dict[str, float]:
        """Return the CPU milliseconds per second since the beginning."""
        passed = time.monotonic() - self.at
        now = self._seconds()
        return {name: round(1000 * (now[name] - self.before[name]) / passed, 1) for name in now}

    def _seconds(self) -> dict[str, float]:
        return {
            "web": self.site.processes.cpu_seconds()["web"],
            "postgres": bench.server_seconds(self.site.servers)["postgres"],
        }


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams")
    parser.add_argument("--streams", type=int, default=1_500)
    streams: int = parser.parse_args().streams
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, streams + 1_000), hard))
    with bench.connected(DATA) as (servers, session):
        tokens = make_people(session, streams)
        with running(OneWorker(servers, session)) as site:
            print(json.dumps(measured(site, session, tokens), indent=2))


def make_people(session: psycopg.Connection, streams: int) -> Sequence[str]:
    """Fill timelines and notifications, and return a token for each stream's user."""
    last = streams + 1
    library.make_reader(session, Size(cards=100_000, people=last, followed=500, notifications=60))
    session.execute(TIMELINES, [last])
    session.execute(NOTIFICATIONS, [last])
    session.execute("VACUUM ANALYZE")
    return library.make_tokens(session, range(2, last + 1))


def measured(site: OneWorker, session: psycopg.Connection, tokens: Sequence[str]) -> dict[str, Any]:
    """Return the figures: CPU and memory of idle streams, then the latency of notifications."""
    children = psutil.Process(site.processes.started["web"].pid).children()
    (worker,) = [each for each in children if "spawn_main" in " ".join(each.cmdline())]
    before = {"memory_mib": memory(worker), "threads": worker.num_threads()}
    with ExitStack() as stack:
        listening = [stack.enter_context(closing(opened(site.port, token))) for token in tokens]
        time.sleep(3)  # lets the work of opening streams end
        costs = Costs(site)
        time.sleep(SECONDS)
        return {
            "streams": len(listening),
            "cpu_ms_a_second": costs.so_far(),
            "before": before,
            "with_streams": {"memory_mib": memory(worker), "threads": worker.num_threads()},
            "notified_after_ms": one_by_one(session, listening),
            "all_notified_after_ms": round(notify(session, listening, 0, len(listening))),
        }


def memory(process: psutil.Process) -> int:
    """Return the proportional set size of a process, in MiB."""
    return int(process.memory_full_info().pss) >> 20


def opened(port: int, token: str) -> socket.socket:
    """Open a stream, and wait for its first bytes."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(
        b"GET /api/v1/stream/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Authorization: Token " + token.encode() + b"\r\n\r\n"
    )
    wait_for(connection, b"retry: ")
    return connection


def one_by_one(session: psycopg.Connection, listening: Sequence[socket.socket]) -> dict[str, float]:
    """Notify users one after the other; return the median and greatest latency, in ms."""
    took = []
    for number in range(NOTIFICATIONS_SENT):
        time.sleep(0.13)  # spreads notifications over the interval between two polls
        place = number * 37 % len(listening)
        took.append(notify(session, listening, place, place + 1))
    return {"median": round(statistics.median(took)), "most": round(max(took))}


def notify(
    session: psycopg.Connection, listening: Sequence[socket.socket], first: int, after: int
) -> float:
    """Notify the users of some streams at once; return the ms until the last stream shows it."""
    began = time.monotonic()
    key = new_id()
    session.execute(NOTIFY, [key, first + 2, after + 1])
    for connection in listening[first:after]:
        wait_for(connection, str(key).encode())
    return 1000 * (time.monotonic() - began)


def wait_for(connection: socket.socket, words: bytes) -> None:
    """Read from a connection until these words were received."""
    received = b""
    while words not in received:
        piece = connection.recv(65_536)
        if not piece:
            raise ConnectionError("The stream ended.")
        received += piece


if __name__ == "__main__":
    main()
