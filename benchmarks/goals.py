"""The performance goals of Commonplace, and whether a run met them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report.measures import MIB

Round = Mapping[str, Any]
Rounds = Mapping[str, Mapping[str, Sequence[Round]]]  # by scenario and system
OURS = "Commonplace"


def of(name: str) -> Callable[[Round], float]:
    """Return a function that reads one figure of a round."""
    return lambda figures: float(figures[name])


def cpu_ms(figures: Round) -> float:
    """Return the CPU milliseconds per event of all processes, except the benchmark's own."""
    used: float = sum(seconds for name, seconds in figures["cpu"].items() if name != "benchmark")
    return 1000.0 * used / float(figures["events"])


def largest_mib(figures: Round) -> float:
    """Return the memory of the largest worker group, in MiB (PSS)."""
    workers: list[int] = [
        size for name, size in figures["memory"].items() if name.endswith("-worker")
    ]
    return max(workers) / MIB


def neighbours(figures: Round) -> float:
    """Return the median latency of the cards beside a celebrity's card, or of all cards, in ms."""
    return float(figures.get("neighbours_p50_ms") or figures["p50_ms"])


@dataclass(frozen=True)
class Goal:
    """A figure of Commonplace, compared with a peer's in the same run or with a number.

    `bound` is the least ratio of ours to the peer's, or without a peer the least figure. With
    `at_most`, `bound` is the greatest instead.
    """

    name: str
    scenario: str
    figure: Callable[[Round], float]
    bound: float
    peer: str = ""
    at_most: bool = False
    ours: str = OURS
    peer_scenario: str = ""
    # Count only rounds of this many events, in scenarios with several sizes (0: all rounds).
    events: int = 0
    peer_events: int = 0

    def result(self, rounds: Rounds) -> dict[str, Any] | None:
        """Return the row of this goal, or None if the run did not measure it."""
        ours = self._figures(rounds, self.scenario, self.ours, self.events)
        peer_scenario = self.peer_scenario or self.scenario
        peers = self._figures(rounds, peer_scenario, self.peer, self.peer_events or self.events)
        if not ours or (self.peer and not peers):
            return None
        own, other = statistics.median(ours), statistics.median(peers) if peers else None
        ratio = own / other if other else None
        decisive = own if ratio is None else ratio
        return {
            "name": self.name,
            "ours": round(own, 3),
            "peer": other and round(other, 3),
            "ratio": ratio and round(ratio, 3),
            "goal": f"{'≤' if self.at_most else '≥'} {self.bound:g}",
            "met": decisive <= self.bound if self.at_most else decisive >= self.bound,
            "spread": _spread(ours, peers),
        }

    def _figures(self, rounds: Rounds, scenario: str, system: str, events: int) -> list[float]:
        found = rounds.get(scenario, {}).get(system, [])
        return [self.figure(each) for each in found if not events or each["events"] == events]


def _spread(ours: Sequence[float], peers: Sequence[float]) -> str:
    """Return the range of the ratios of each round, or of our figure, as "least–greatest"."""
    pairs = zip(ours, peers, strict=False)
    found = [own / other for own, other in pairs if other] if peers else list(ours)
    return f"{min(found):.3g}–{max(found):.3g}" if found else ""


BATCHED = "BullMQ batches of 100"
GOALS = (
    Goal("drain against BullMQ add", "drain", of("rate"), 4.5, "BullMQ add"),
    Goal("drain against BullMQ in batches of 100", "drain", of("rate"), 1.1, BATCHED),
    Goal("drain against plain Celery", "drain", of("rate"), 40, "Celery"),
    Goal("drain against the SQL limit", "drain", of("rate"), 0.75, "SQL"),
    Goal("sustained against BullMQ add", "sustained", of("rate"), 1.8, "BullMQ add"),
    Goal("CPU ms an event, sustained", "sustained", cpu_ms, 0.5, "BullMQ add", at_most=True),
    Goal("p50 ms at 50 events/s", "latency_50", of("p50_ms"), 1, "BullMQ add", at_most=True),
    Goal("p99 ms at 50 events/s", "latency_50", of("p99_ms"), 1, "BullMQ add", at_most=True),
    Goal("p50 ms at 500 events/s", "latency_500", of("p50_ms"), 1, "BullMQ add", at_most=True),
    Goal("p99 ms at 500 events/s", "latency_500", of("p99_ms"), 1, "BullMQ add", at_most=True),
    Goal("100,000 followers: feeds, s", "celebrity_100k", of("feeds_seconds"), 0.5, at_most=True),
    Goal(
        "100,000 followers: notifications, s", "celebrity_100k", of("notifications_seconds"), 0.5,
        at_most=True,
    ),
    Goal("1,000,000 followers: largest worker MiB", "celebrity_1m", largest_mib, 512, at_most=True),
    Goal(
        "1,000,000 followers: p50 ms of others, against light load", "celebrity_1m", neighbours,
        1.5, OURS, at_most=True, peer_scenario="latency_50",
    ),
    Goal("p50 ms beside a flood", "mixed", of("flooded_p50_ms"), 1, "BullMQ add", at_most=True),
    Goal(
        "events/s at 20,000 against 5,000", "growth", of("rate"), 0.9, OURS,
        events=20_000, peer_events=5_000,
    ),
    Goal("POST against Fastify", "post", of("rate"), 0.6, "fastify", ours="commonplace"),
    Goal(
        "POST in bulk, cards/s, against Fastify one by one", "bulk", of("rate"), 5, "fastify",
        ours="commonplace", peer_scenario="post",
    ),
    Goal(
        "following feed, p99 ms", "read_following", of("p99_ms"), 30, ours="commonplace",
        at_most=True,
    ),
    Goal(
        "notifications, p99 ms", "read_notifications", of("p99_ms"), 30, ours="commonplace",
        at_most=True,
    ),
    *(
        Goal(
            f"POST p99 while the broker is {how}", "post_without_broker", of("p99_ms"), 1.5,
            "normal", ours=how, at_most=True,
        )
        for how in ("refused", "paused", "blackholed")
    ),
    Goal(
        "largest worker after 100,000 events, MiB", "growth", largest_mib, 512, events=100_000,
        at_most=True,
    ),
)  # fmt: skip


def judge(rounds: Rounds, goals: Iterable[Goal] = GOALS) -> list[dict[str, Any]]:
    """Return the result of each goal that the run measured."""
    return [row for goal in goals if (row := goal.result(rounds))]
