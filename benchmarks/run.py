"""Run the benchmark: measure the scenarios of each system in a fixed order."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import work
from benchmarks.goals import OURS, judge
from benchmarks.machine import machine
from benchmarks.scenarios import celebrity, latency, throughput
from benchmarks.systems import BROKERS, SYSTEMS
from benchmarks.systems.base import System, running
from stack.embedded import Servers

Figures = dict[str, Any]
# The systems that implement `System.write`.
WRITING = (
    "Commonplace", "BullMQ add", "Celery, connection kept", "Dramatiq, idle for 20 ms",
    "Procrastinate",
)  # fmt: skip

FAST = ("Commonplace", "BullMQ add", "Dramatiq, idle for 20 ms")
# The figures printed while running.
SHOWN = (
    "events", "rate", "p50_ms", "p99_ms", "feeds_seconds", "notifications_seconds",
    "neighbours_p50_ms", "alone_p50_ms", "alone_p99_ms", "flooded_p50_ms", "flooded_p99_ms",
)  # fmt: skip


class Run:
    """A run; `rounds` has the figures of each round, by scenario and system."""

    def __init__(self, servers: Servers, options: argparse.Namespace) -> None:
        self.servers, self.options = servers, options
        self.rounds: dict[str, dict[str, list[Figures]]] = defaultdict(lambda: defaultdict(list))
        self._noted: set[tuple[str, str]] = set()
        self.session = psycopg.connect(servers.database_url, autocommit=True)

    def all(self) -> None:
        """Measure every chosen part; within each round, the systems take turns."""
        parts: dict[str, Callable[[], None]] = {
            "work": self.work, "growth": self.growth, "mixed": self.mixed,
            "celebrity": self.celebrity, "http": self.http, "brokers": self.brokers,
        }  # fmt: skip
        work.make_people(self.session)
        for name, part in parts.items():
            if not self.options.parts or name in self.options.parts:
                part()

    def work(self) -> None:
        """Measure draining a backlog, sustained writing, and latency."""
        seconds = 4 if self.options.short else 10
        for _ in range(self.options.rounds):
            for name in self._chosen(SYSTEMS):
                with self._running(name) as system:
                    events = max(200, int(self.options.events * system.share))
                    self._note("drain", system, throughput.drain(system, events))
                    if name in WRITING:
                        self._note("sustained", system, throughput.sustained(system, events))
                        self._note("latency_50", system, latency.at_rate(system, 50, seconds))
                    if name in FAST:
                        self._note("latency_500", system, latency.at_rate(system, 500, seconds / 2))

    def growth(self) -> None:
        """Measure draining backlogs of several sizes; the largest only in the first round."""
        sizes = (1_000, 5_000, 20_000) if self.options.short else (1_000, 5_000, 20_000, 100_000)
        for number in range(self.options.rounds):
            for size in sizes:
                if size <= 20_000 or number == 0:
                    for name in self._chosen((OURS, "BullMQ batches of 100")):
                        with self._running(name) as system:
                            self._note("growth", system, throughput.drain(system, size))

    def mixed(self) -> None:
        """Measure the latency of interactive work beside bulk work."""
        flood, seconds = (10_000, 3) if self.options.short else (50_000, 10)
        for _ in range(self.options.rounds):
            for name in self._chosen((OURS, "BullMQ add")):
                with self._running(name) as system:
                    self._note("mixed", system, latency.beside_a_flood(system, flood, seconds))

    def celebrity(self) -> None:
        """Measure the fan-out for one author with very many followers."""
        sizes = {"celebrity_100k": 100_000} | (
            {} if self.options.short else {"celebrity_1m": 1_000_000}
        )
        for scenario, followers in sizes.items():
            work.make_people(self.session)
            celebrity.make_followers(self.session, followers)
            for _ in range(self.options.rounds):
                for name in self._chosen((OURS, "BullMQ add")):
                    with self._running(name) as system:
                        self._note(scenario, system, celebrity.fan_out(system))
        work.make_people(self.session)

    def brokers(self) -> None:
        """Measure Commonplace on each broker: throughput, latency, and memory."""
        seconds = 4 if self.options.short else 10
        for _ in range(self.options.rounds):
            for name in self._chosen(BROKERS):
                with self._running(name) as system:
                    drained = throughput.drain(system, self.options.events)
                    self._note("brokers_drain", system, drained)
                    latency_50 = latency.at_rate(system, 50, seconds)
                    self._note("brokers_latency_50", system, latency_50)
                    flooded = latency.beside_a_flood(system, 2 * self.options.events, seconds)
                    self._note("brokers_mixed", system, flooded)

    def http(self) -> None:
        """Measure the HTTP API."""
        from benchmarks import http

        found = http.measure(
            self.servers, self.session, rounds=self.options.rounds, short=self.options.short
        )
        self.rounds |= found

    def results(self, node_modules: Path) -> dict[str, Any]:
        """Return the goals, the rounds and the machine, as published."""
        form = "short" if self.options.short else "full"
        return {
            "goals": judge(self.rounds),
            "rounds": self.rounds,
            "machine": machine(self.session, node_modules) | {"form": form},
        }

    def _chosen(self, names: Sequence[str] | dict[str, Any]) -> Iterator[str]:
        """Return the systems chosen on the command line among these names."""
        return (n for n in names if not self.options.systems or n in self.options.systems)

    @contextmanager
    def _running(self, name: str) -> Iterator[System]:
        """Start and warm up a system during the block."""
        with running((SYSTEMS | BROKERS)[name](), self.servers, self.session) as system:
            throughput.warm_up(system)
            yield system

    def _note(self, scenario: str, system: System, figures: Figures) -> None:
        """Record and print the figures of one round."""
        if (scenario, system.name) not in self._noted:
            self._noted.add((scenario, system.name))
            self.rounds[scenario][system.name] = []  # replaces figures kept from an earlier run
        self.rounds[scenario][system.name].append(figures)
        words = "  ".join(f"{name} {figures[name]:g}" for name in SHOWN if name in figures)
        print(f"{scenario:16} {system.name:26} {words}", flush=True)
