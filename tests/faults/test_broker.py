"""A broker that restarts, forgets, fills up, or does not answer."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable

import httpx
import pytest

from tests.faults.brokers import QUEUES
from tests.faults.judge import judge
from tests.faults.load import Load, wait_for_more
from tests.faults.report import Report
from tests.faults.sizes import FULL, KILLS, POSTS, SEED
from tests.faults.world import World

pytestmark = pytest.mark.brokers("valkey", "redis", "rabbitmq")


def restart_with_its_data(world: World) -> None:
    world.broker.stop()
    time.sleep(0.5)
    world.start_servers()


def restart_empty(world: World) -> None:
    world.broker.stop(forget=True)
    time.sleep(0.5)
    world.start_servers()


def forget_everything(world: World) -> None:
    world.broker.forget_everything()


@pytest.mark.parametrize("fault", [restart_with_its_data, restart_empty, forget_everything])
def test_a_broker_that_comes_back(
    world: World, report: Report, fault: Callable[[World], None]
) -> None:
    run_against_broker(world, report, fault)


def run_against_broker(
    world: World, report: Report, fault: Callable[[World], None], *, seconds: float = 60
) -> None:
    """Cause the fault several times under load, and judge the result."""
    dice = random.Random(SEED)
    load = Load(world)
    name = fault.__name__.replace("_", " ")
    times = max(2, KILLS // 3)
    with report.case("4 broker", did=f"{name}, {times} times") as case:
        load.start()
        for _ in range(times):
            time.sleep(dice.uniform(0.1, 0.5))
            fault(world)
        load.finish()
        case.recovered(world.wait_recovered(seconds=seconds))
        case.judged(judge(world, load))


LONG = pytest.mark.long
WAYS = ["blackholed", pytest.param("refused", marks=LONG), pytest.param("frozen", marks=LONG)]


@pytest.mark.parametrize("how", WAYS)
def test_a_broker_that_is_away_does_not_touch_the_api(
    world: World, report: Report, how: str
) -> None:
    with report.case(f"5 broker {how}", did=f"{3 * POSTS} cards posted meanwhile") as case:
        normal = Load(world, operations=POSTS, kinds=["page"])
        normal.run()
        world.wait_recovered()
        world.reset()
        load = Load(world, operations=POSTS, kinds=["page"])

        break_broker(world, how)
        try:
            load.run()
            waiting = world.open()
        finally:
            mend_broker(world, how)
        case.recovered(world.wait_recovered())

        assert waiting, "everything was delivered without the broker: the test tested nothing"
        assert set(load.codes) == {201}
        usual, away = p99(normal.seconds), p99(load.seconds)
        # The small form has too few requests for a p99: there, an outlier is allowed.
        assert away <= 1.5 * usual + (0.01 if FULL else 0.1), f"{away:.3f} s, usually {usual:.3f} s"
        case.judged(judge(world, load))


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def break_broker(world: World, how: str) -> None:
    """Cut all processes off from the broker."""
    if how == "frozen":
        world.freeze(world.broker.pid())
    for process in world.processes.values():
        if how == "refused":
            process.broker.refuse()
        elif how == "blackholed":
            process.broker.blackhole()


def mend_broker(world: World, how: str) -> None:
    """Make the server reachable again."""
    if how == "frozen":
        world.thaw(world.broker.pid())
    for process in world.processes.values():
        process.broker.pass_on()


def test_a_broker_out_of_memory(world: World, report: Report) -> None:
    load = Load(world, operations=None, pause=0.02)
    with report.case("6 broker out of memory", did="its memory limit is reached") as case:
        load.start()
        wait_for_more(load, 10)
        world.broker.set_full(True)
        try:
            before = load.done
            time.sleep(5)
            assert load.done > before + 10, "the API does not need the broker"
            assert world.open(), "everything was delivered: the broker was not out of memory"
        finally:
            world.broker.set_full(False)
        load.finish()
        case.recovered(world.wait_recovered(seconds=30))
        assert set(load.codes) <= {200, 201, 204}
        case.judged(judge(world, load))


def test_undecodable_and_unknown_messages(world: World, report: Report) -> None:
    load = Load(world)
    bodies = [b"{", b"\xff\xfe", b"null", b"[]", b'{"body": "%%%"}']
    with report.case("12 malformed messages", did="between the others, in every queue") as case:
        starts = {name: process.starts for name, process in world.processes.items()}
        load.start()
        for _ in range(10):
            for queue in QUEUES:
                world.broker.push(queue, bodies)
            time.sleep(0.1)
        load.finish()
        case.recovered(world.wait_recovered())

        assert [world.broker.length(queue) for queue in QUEUES] == [0, 0, 0]
        assert starts == {name: process.starts for name, process in world.processes.items()}
        case.judged(judge(world, load))


def test_every_message_ten_times_and_shuffled(world: World, report: Report) -> None:
    load = Load(world, operations=20)  # without workers, more do not fit under the high-water mark
    dice = random.Random(SEED)
    with report.case("15 messages ten times", did="copied and shuffled, at two workers") as case:
        for name in ("notification-worker", "feed-worker"):
            world.process(name).stop()
        load.run()
        world.wait_published()
        copied = world.broker.multiply(("notifications", "feeds"), 10, dice)
        assert copied >= 100, "there was nothing to copy"
        for name in ("notification-worker", "feed-worker", "notification-worker2", "feed-worker2"):
            world.process(name).spawn()
        case.recovered(world.wait_recovered())
        case.judged(judge(world, load))


@pytest.mark.long
def test_the_api_answers_while_everything_else_is_down(world: World, report: Report) -> None:
    load = Load(world)
    with report.case("5 nothing but the API", did="relay, workers and broker stopped") as case:
        for name in ("relay", "notification-worker", "feed-worker", "event-worker"):
            world.process(name).stop()
        world.broker.stop()
        load.run()
        assert httpx.get(f"{world.url()}/readyz").status_code == 200
        world.start_servers()
        for name in ("relay", "notification-worker", "feed-worker", "event-worker"):
            world.process(name).spawn()
        case.recovered(world.wait_recovered())
        assert set(load.codes) <= {200, 201, 204}
        case.judged(judge(world, load))
