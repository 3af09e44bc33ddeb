"""Delayed events and cron slots: on time under load, and once each whatever restarts."""

from __future__ import annotations

import random
import time

import httpx
import pytest

from tests.faults.load import Load
from tests.faults.report import Report
from tests.faults.sizes import DELAYED, SEED
from tests.faults.world import World
from tests.harness.processes import wait_for

LATENESS = """
    SELECT date_part('epoch', finished_at - delivery.recorded_at)
    FROM eventbook_delivery AS delivery JOIN eventbook_event AS event ON event.id = event_id
    WHERE event.key LIKE 'probe-delayed-%%' AND handler = 'probe.write'
    ORDER BY 1
"""
EFFECTS = """
    SELECT count(*), count(DISTINCT key) FROM probe_effect
    WHERE key LIKE 'delayed-%' AND handler = 'probe.write'
"""
SLOTS = """
    SELECT date_part('epoch', finished_at - (data ->> 'slot')::timestamptz)
    FROM eventbook_delivery JOIN eventbook_event AS event ON event.id = event_id
    WHERE event.type = 'probe.minutely.due' AND state = 'done'
    ORDER BY 1
"""
ON_TIME_SECONDS = 0.1
# Between two events of bursts: a burst ends later for workers that have a backlog.
PAUSE_SECONDS = 0.02
SIDE_BY_SIDE = 40  # bursts


# How late each burst's last event was delivered: 2 s after it would be on time.
BURSTS = """
    SELECT date_part('epoch', max(finished_at) - max(delivery.recorded_at)) - 2
    FROM eventbook_delivery AS delivery JOIN eventbook_event AS event ON event.id = event_id
    WHERE handler = 'probe.debounce' GROUP BY subject ORDER BY 1
"""
# By burst and handler: the number of its events, the number delivered, and whether the last was.
DELIVERED = """
    SELECT DISTINCT count(event.id), count(effect.key) <= 3,
           bool_or(effect.key IS NOT NULL AND event.data ->> 'key' LIKE '%%-last')
    FROM eventbook_delivery AS delivery JOIN eventbook_event AS event ON event.id = event_id
    LEFT JOIN probe_effect AS effect
      ON effect.event_id = event.id AND effect.handler = delivery.handler
    WHERE delivery.handler IN ('probe.debounce', 'probe.throttle')
    GROUP BY subject, delivery.handler
"""

pytestmark = pytest.mark.brokers("valkey", "none")


def delay(world: World, shortest: float, longest: float) -> None:
    """Record DELAYED events whose times are spread at random between two numbers of seconds."""
    dice = random.Random(SEED)
    with httpx.Client(timeout=30) as http:
        for number in range(DELAYED):
            seconds = dice.uniform(shortest, longest)
            url = f"{world.url()}/probe/?key=delayed-{number}&delay={seconds}"
            http.post(url).raise_for_status()


def quantiles(lateness: list[float]) -> str:
    """Return the median, the 99th percentile and the maximum as text."""
    last = len(lateness) - 1
    places = {"p50": last // 2, "p99": round(last * 0.99), "max": last}
    return ", ".join(f"{name} {lateness[place] * 1000:.0f} ms" for name, place in places.items())


def test_delayed_events_are_on_time_under_load(world: World, report: Report) -> None:
    load = Load(world)
    with report.case("21 delayed events under load", did="") as case:
        load.start()
        delay(world, 1, 6)
        load.finish()
        case.recovered(world.wait_recovered())

        late = [seconds for (seconds,) in world.rows(LATENESS)]
        case.did = f"{DELAYED} events: {quantiles(late)} late"
        assert world.rows(EFFECTS) == [(DELAYED, DELAYED)]
        assert len(late) == DELAYED
        assert late[0] >= 0, "an event ran before its time"
        assert late[DELAYED // 2] < ON_TIME_SECONDS


def test_delayed_events_run_once_whatever_restarts(world: World, report: Report) -> None:
    dice = random.Random(SEED)
    with report.case("21 delayed events, restarts", did="all processes killed") as case:
        world.process("relay2").start()
        delay(world, 1, 12)
        for name in dice.choices(["relay", *world.workers, "relay2"], k=5):
            time.sleep(dice.uniform(0.2, 1.5))
            if world.process(name).pid:
                world.process(name).kill()
        case.recovered(world.wait_recovered())

        assert world.rows(EFFECTS) == [(DELAYED, DELAYED)]


def test_cron_slots_are_on_time_whatever_the_schedulers_clocks_say(
    world: World, report: Report
) -> None:
    with report.case("21 cron slots, clocks an hour wrong", did="") as case:
        for name, ahead in (("beat", 3600), ("beat2", -3600)):
            world.process(name).start(MUTATION="skew", SKEW_SECONDS=str(ahead))
        wait_for(lambda: world.rows(SLOTS), seconds=90, what="a minute's slot has run")
        for name in ("beat", "beat2"):
            world.process(name).stop()
        case.recovered(world.wait_recovered())

        late = [seconds for (seconds,) in world.rows(SLOTS)]
        case.did = f"{len(late)} slots: {quantiles(late)} late"
        assert late[0] >= 0, "a slot ran before its time"
        assert late[0] < ON_TIME_SECONDS * 5


def burst(world: World, events: int) -> None:
    """Record SIDE_BY_SIDE bursts of so many events."""
    with httpx.Client(timeout=30) as http:
        for number in range(events):
            name = "last" if number == events - 1 else str(number)
            for group in range(SIDE_BY_SIDE):
                url = f"{world.url()}/probe/?group=burst-{group}&key={group}-{name}"
                http.post(url).raise_for_status()
                time.sleep(PAUSE_SECONDS)


def test_bursts_end_on_time_under_load(world: World, report: Report) -> None:
    load = Load(world)
    with report.case("21 bursts under load", did="") as case:
        load.start()
        burst(world, 3)
        load.finish()
        case.recovered(world.wait_recovered())

        late = [seconds for (seconds,) in world.rows(BURSTS)]
        case.did = f"{SIDE_BY_SIDE} bursts: {quantiles(late)} late"
        assert world.rows(DELIVERED) == [(3, True, True)]
        assert late[0] >= 0, "a burst ended before its time"


def test_the_last_of_each_burst_is_delivered_whatever_restarts(
    world: World, report: Report
) -> None:
    dice = random.Random(SEED)
    with report.case("21 bursts, restarts", did="all processes killed") as case:
        world.process("relay2").start()
        for _ in range(3):
            burst(world, 1)
            for name in dice.sample(["relay", *world.workers, "relay2"], 2):
                if world.process(name).pid:
                    world.process(name).kill()
        case.recovered(world.wait_recovered())

        doubled = "SELECT event_id FROM probe_effect GROUP BY event_id, handler HAVING count(*) > 1"
        assert world.rows(f"{doubled} AND handler NOT LIKE '%outside'") == []
        ((events, few, has_last),) = world.rows(DELIVERED)
        assert (events, few, has_last) == (3, True, True)
