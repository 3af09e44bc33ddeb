"""A handler that takes minutes goes on while the broker restarts."""

from __future__ import annotations

import httpx
import pytest

from tests.faults.report import Report
from tests.faults.world import World
from tests.harness.processes import wait_for

pytestmark = pytest.mark.brokers("valkey", "rabbitmq")

WORKERS = ("notification-worker", "feed-worker")
ENDED = "SELECT handler, state, attempts FROM eventbook_delivery ORDER BY handler"


def connections(world: World) -> list[int]:
    """Return how often each worker has connected to the broker."""
    return [world.process(name).output().count("broker.connected") for name in WORKERS]


def test_a_broker_that_restarts_breaks_no_run_off(world: World, report: Report) -> None:
    with report.case("1 broker restarted in a long run", did="two handlers run") as case:
        url = f"{world.url()}/probe/?key=long&behaviour=wait_until_told"
        httpx.post(url, timeout=10).raise_for_status()
        begun = world.data / "begun-long"
        wait_for(begun.exists, seconds=20, what="the handlers run")
        before = connections(world)
        world.broker.stop()
        world.start_servers()
        wait_for(
            lambda: all(now > then for now, then in zip(connections(world), before, strict=True)),
            seconds=30,
            what="the workers are connected again",
        )
        (world.data / "go-long").touch()
        case.recovered(world.wait_recovered())

        assert world.rows(ENDED) == [("probe.call", "done", 0), ("probe.write", "done", 0)]
        assert [call.subject for call in world.outside.calls] == ["probes/long"]
