"""Every link, blackholed in turn; and clocks that are wrong."""

from __future__ import annotations

import time

import pytest

from tests.faults.judge import judge
from tests.faults.load import Load, wait_for_more
from tests.faults.report import Report
from tests.faults.sizes import FULL
from tests.faults.world import WORKERS, World

LONG = pytest.mark.long
SECONDS = 20 if FULL else 3


@pytest.mark.parametrize(
    "process",
    ["web", *(pytest.param(name, marks=LONG) for name in ("relay", *WORKERS))],
)
def test_a_blackholed_link_to_the_database(world: World, report: Report, process: str) -> None:
    blackhole(world, report, process, "database")


@pytest.mark.brokers("valkey", "redis", "rabbitmq")
@pytest.mark.parametrize(
    "process",
    ["feed-worker", *(pytest.param(name, marks=LONG) for name in ("relay", *WORKERS[::2]))],
)
def test_a_blackholed_link_to_the_broker(world: World, report: Report, process: str) -> None:
    blackhole(world, report, process, "broker")


def blackhole(world: World, report: Report, process: str, server: str) -> None:
    """Blackhole a link under load for a few seconds, and judge the result."""
    load = Load(world, operations=None, pause=0.02)
    link = getattr(world.process(process), server)
    did = f"no byte moves for {SECONDS} s"
    with report.case(f"9 {process} – {server} blackholed", did=did) as case:
        load.start()
        wait_for_more(load, 5)
        with link.broken("blackhole"):
            time.sleep(SECONDS)
        wait_for_more(load, 10)
        load.finish()
        case.recovered(world.wait_recovered(seconds=30))

        assert max(load.seconds) < 6
        case.judged(judge(world, load))


@pytest.mark.parametrize("seconds", [300, pytest.param(-300, marks=LONG)])
def test_a_worker_whose_clock_is_wrong(world: World, report: Report, seconds: int) -> None:
    names = ("notification-worker", "relay")
    load = Load(world)
    with report.case(f"10 clock {seconds:+} s", did="on a worker and the relay") as case:
        for name in names:
            world.process(name).stop()
            world.process(name).start(MUTATION="skew", SKEW_SECONDS=str(seconds))
        load.start()
        for number in range(5):
            load.authors[0].probe(f"slow{number}", "slow")
        load.authors[0].probe("failing", "raise")
        load.finish()
        case.recovered(world.wait_recovered())

        assert world.rows(
            "SELECT max(publications) FROM eventbook_delivery WHERE attempts = 0"
        ) == [(1,)], "a delivery was taken for lost, or a lease stolen"
        early = world.rows(RETRIES)
        assert early, "nothing was retried: the test tested nothing"
        assert all(wait >= 0 for (wait,) in early)
        world.rows("DELETE FROM probe_effect WHERE key LIKE 'slow%'")
        case.judged(judge(world, load, states=frozenset({"done", "dead"})))


# Seconds from one failed attempt to the next of the same delivery.
RETRIES = """
    SELECT extract(epoch FROM later.failed_at - earlier.failed_at)::float
    FROM eventbook_attempt earlier
    JOIN eventbook_attempt later USING (delivery_id)
    WHERE later.number = earlier.number + 1
"""
