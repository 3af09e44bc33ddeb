"""Relays that die, and relays that meet."""

from __future__ import annotations

import random
import time

import httpx
import pytest

from tests.faults.judge import judge
from tests.faults.load import Load
from tests.faults.report import Report
from tests.faults.sizes import ALL_BROKERS, KILLS, SEED
from tests.faults.world import World
from tests.harness.processes import wait_for

pytestmark = pytest.mark.brokers(*ALL_BROKERS)


def test_relays_killed_at_any_moment(world: World, report: Report) -> None:
    dice = random.Random(SEED)
    load = Load(world)
    with report.case("3 relay killed", did=f"kill -9 at {KILLS} random moments") as case:
        load.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.8))
            if world.process("relay").pid:
                world.process("relay").kill()
        load.finish()
        case.recovered(world.wait_recovered())
        case.judged(judge(world, load))


def test_a_relay_killed_before_it_publishes(world: World, report: Report) -> None:
    load = Load(world, operations=5)
    with report.case("3 relay killed before publishing", did="die after the commit") as case:
        killed_once(world, load, "die_before_publish")
        case.recovered(world.wait_recovered(seconds=10))
        case.judged(judge(world, load))


def test_a_relay_killed_after_it_published(world: World, report: Report) -> None:
    load = Load(world, operations=5)
    with report.case("3 relay killed after publishing", did="die before the next step") as case:
        killed_once(world, load, "die_after_publish")
        case.recovered(world.wait_recovered(seconds=10))
        case.judged(judge(world, load))


def killed_once(world: World, load: Load, mutation: str) -> None:
    """Let the relay die at a chosen point under load."""
    relay = world.process("relay")
    relay.stop()
    (world.data / mutation).unlink(missing_ok=True)
    relay.start(MUTATION=mutation)
    starts = relay.starts
    load.run()
    wait_for(lambda: relay.starts > starts, seconds=20, what="the relay died and was started again")


def test_two_relays_deliver_once(world: World, report: Report) -> None:
    load = Load(world)
    with report.case("3 two relays at once", did="both busy all the time") as case:
        world.process("relay2").start()
        load.start()
        with httpx.Client(timeout=30) as http:
            for number in range(5):
                http.post(f"{world.url()}/probe/?key=flood{number}&count=100").raise_for_status()
        load.finish()
        case.recovered(world.wait_recovered())

        effects = world.rows("DELETE FROM probe_effect WHERE key LIKE 'flood%' RETURNING key")
        assert len(effects) == len(set(effects)) == 500
        world.rows("DELETE FROM eventbook_delivery USING eventbook_event event"
                   " WHERE event.id = event_id AND subject LIKE 'probes/flood%'")  # fmt: skip
        world.rows("DELETE FROM eventbook_event WHERE subject LIKE 'probes/flood%'")
        world.outside.calls[:] = [c for c in world.outside.calls if "flood" not in c.subject]
        case.judged(judge(world, load))
