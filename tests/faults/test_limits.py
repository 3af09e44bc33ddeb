"""Rate limits and retry budgets, with several workers and a broker that forgets."""

from __future__ import annotations

import time
from itertools import pairwise

import httpx

from tests.faults.report import Report
from tests.faults.sizes import FULL
from tests.faults.world import World
from tests.harness.processes import wait_for

COUNT, SECONDS = (100, 60) if FULL else (10, 3)
WORKERS = ("feed-worker", "feed-worker2", "feed-worker3")


def start_workers(world: World, **extra: str) -> None:
    """Start three groups of workers with the same limits."""
    for name in WORKERS:
        if world.process(name).wanted:
            world.process(name).stop()
        world.process(name).spawn(**extra)
    for name in WORKERS:
        world.process(name).wait_ready()


def send(world: World, account: str, count: int) -> None:
    with httpx.Client(timeout=30) as http:
        http.post(f"{world.url()}/probe/?key={account}&count={count}").raise_for_status()


def times_of(world: World, account: str) -> list[float]:
    """These are the times of an account's calls outside, in order."""
    calls = list(world.outside.calls)
    return sorted(call.time for call in calls if call.subject.startswith(f"probes/{account}-"))


def test_a_rate_limit_is_strict_over_any_window(world: World, report: Report) -> None:
    did = f"{COUNT} in {SECONDS} s, three workers, FLUSHALL"
    with report.case("rate limit", did=did) as case:
        start_workers(world, FEEDS_GROUP_LIMIT=str(COUNT), FEEDS_GROUP_SECONDS=str(SECONDS))
        world.outside.seconds = 0.02
        began = time.monotonic()
        send(world, "busy", 3 * COUNT)
        send(world, "quiet", COUNT // 2)
        wait_for(lambda: len(times_of(world, "quiet")) == COUNT // 2, seconds=SECONDS + 20,
                 what="the quiet account has its turn")  # fmt: skip
        quiet = max(times_of(world, "quiet")) - began
        world.broker.forget_everything()
        case.recovered(world.wait_recovered(seconds=6 * SECONDS + 60))

        calls = times_of(world, "busy")
        assert len(calls) == 3 * COUNT
        closest = min(later - calls[place] for place, later in enumerate(calls[COUNT:]))
        assert closest >= SECONDS, f"{COUNT + 1} calls within {closest:.3f} s"
        assert quiet < SECONDS + 15, "the busy account held the quiet one up"
        assert world.rows(
            "SELECT DISTINCT state, attempts FROM eventbook_delivery WHERE handler = 'probe.call'"
        ) == [("done", 0)]


def test_a_service_that_heals_meets_no_second_spike(world: World, report: Report) -> None:
    rate, count = 20, 200
    did = f"{count} calls refused at once, {rate} retries a second"
    with report.case("retry budget", did=did) as case:
        for name in ("relay", *WORKERS[:1]):
            world.process(name).stop()
            world.process(name).start(
                FEEDS_RETRY_RATE=str(rate), FEEDS_BACKOFF_SECONDS="1", FEEDS_MAX_ATTEMPTS="9"
            )
        world.outside.down.set()
        send(world, "spike", count)
        refused = "SELECT count(*) FROM eventbook_delivery WHERE attempts > 0"
        wait_for(lambda: world.rows(refused) == [(count,)], seconds=30, what="all were refused")
        time.sleep(2)
        world.outside.down.clear()
        healed = time.monotonic()
        case.recovered(world.wait_recovered())

        after = [moment for moment in times_of(world, "spike") if moment > healed]
        assert len(after) >= count / 2, "hardly anything was left to retry: nothing was tested"
        window = 3.0
        most = max(sum(t <= other < t + window for other in after) for t in after)
        assert most <= rate * (window + 2) + rate
        assert all(later >= earlier for earlier, later in pairwise(after))
