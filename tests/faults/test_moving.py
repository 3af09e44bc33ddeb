"""Moving from one broker to another under load, as docs/brokers.md describes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.binaries import ProgramMissing
from tests.faults.brokers import Broker, RabbitMQ
from tests.faults.judge import judge
from tests.faults.load import Load, wait_for_more
from tests.faults.report import Report
from tests.faults.sizes import SEED
from tests.faults.world import WORKERS, World


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Broker]:
    """RabbitMQ, beside the world's Valkey."""
    try:
        broker = RabbitMQ(tmp_path)
    except ProgramMissing as error:
        pytest.skip(f"NOT TESTED: RabbitMQ. {error}")
    broker.start()
    yield broker
    broker.stop()


@pytest.mark.timeout(360)
def test_moving_to_other_brokers_under_load(world: World, report: Report, other: Broker) -> None:
    load = Load(world, operations=None, pause=0.02)
    did = "Valkey, RabbitMQ, none, Valkey"
    with report.case("22 another broker", did=did) as case:
        load.start()
        for url in (other.url(), "none", world.broker.url()):
            wait_for_more(load, 10)
            move(world, url)
        wait_for_more(load, 10)
        load.finish()
        case.recovered(world.wait_recovered())
        case.judged(judge(world, load))


def move(world: World, url: str) -> None:
    """Restart the relay and the workers, in any order, with another broker's address."""
    names = ["relay", *WORKERS]
    random.Random(f"{SEED} {url}").shuffle(names)
    for name in names:
        process = world.process(name)
        if process.wanted:
            process.stop()
        if name == "relay" or url != "none":
            process.spawn(BROKER_URL=url)
    for name in names:
        if world.process(name).wanted:
            world.process(name).wait_ready()
