"""Workers that die: in every place, by every way."""

from __future__ import annotations

import random
import signal
import time

import httpx
import pytest

from tests.faults.judge import judge
from tests.faults.load import Load
from tests.faults.report import Report
from tests.faults.sizes import KILLS, SEED
from tests.faults.world import World

WORKERS = ("notification-worker", "feed-worker")


def test_workers_killed_at_any_moment(world: World, report: Report) -> None:
    dice = random.Random(SEED)
    load = Load(world)
    with report.case("1 worker killed", did=f"kill -9 at {KILLS} random moments") as case:
        load.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.6))
            process = world.process(dice.choice(WORKERS))
            if children := process.children():
                dice.choice(children).send_signal(signal.SIGKILL)
            if dice.random() < 0.5 and process.pid:
                process.kill()
        load.finish()
        case.recovered(world.wait_recovered())
        case.judged(judge(world, load))


@pytest.mark.parametrize(
    ("behaviour", "where"),
    [
        ("die_once", "in the handler, before commit"),
        ("die_after_commit_once", "after commit, before the acknowledgement"),
    ],
)
def test_workers_killed_in_a_known_place(
    world: World, report: Report, behaviour: str, where: str
) -> None:
    load = Load(world, kinds=["probe", "page"])
    with report.case(f"1 worker killed {where}", did="SIGKILL from inside the handler") as case:
        load.start()
        for number in range(3):
            answer = httpx.post(f"{world.url()}/probe/?key=x{number}&behaviour={behaviour}")
            assert answer.status_code == 201
            load.authors[0].ledger.events.append(f"probes/x{number}")
        load.finish()
        case.recovered(world.wait_recovered())
        effects = world.rows(
            "SELECT key, count(*) FROM probe_effect WHERE key LIKE 'x%' GROUP BY 1"
        )
        assert sorted(effects) == [("x0", 1), ("x1", 1), ("x2", 1)]
        world.rows("DELETE FROM probe_effect WHERE key LIKE 'x%'")
        case.judged(judge(world, load))
