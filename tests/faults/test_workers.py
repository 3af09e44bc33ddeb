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
from tests.faults.sizes import ALL_BROKERS, FULL, KILLS, SEED
from tests.faults.world import World

pytestmark = pytest.mark.brokers(*ALL_BROKERS)
OUTCOMES = """
    SELECT subject = %s, handler, state, attempts, count(*) FROM eventbook_delivery
    JOIN eventbook_event ON eventbook_event.id = event_id WHERE subject LIKE %s OR subject LIKE %s
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2
"""
ATTEMPTS = """
    SELECT number, attempt.error FROM eventbook_attempt attempt
    JOIN eventbook_delivery delivery ON delivery.id = delivery_id
    JOIN eventbook_event event ON event.id = event_id
    WHERE handler = 'probe.write' AND state = 'dead' AND subject = %s ORDER BY number
"""
EFFECTS = "SELECT count(*), count(DISTINCT key) FROM probe_effect WHERE key LIKE %s"
# What a poisonous event does, and what its dead letter says of it.
POISON = {
    "raise": "Refused",
    "segfault": "died, or hung",
    "hoard": "MemoryError",
    "die": "died, or hung",  # what the kernel does to a process that takes too much memory
    "hang": "SoftTimeLimitExceeded",
    "hang_for_good": "died, or hung",
}
LIMITS = {
    f"{queue}_{name}": number
    for queue in ("NOTIFICATIONS", "FEEDS")
    for name, number in {
        "MAX_ATTEMPTS": "2", "BACKOFF_SECONDS": "0",
        "TIME_LIMIT_SECONDS": "2", "GRACE_SECONDS": "1",
    }.items()
}  # fmt: skip


def test_workers_killed_at_any_moment(world: World, report: Report) -> None:
    dice = random.Random(SEED)
    load = Load(world)
    with report.case("1 worker killed", did=f"kill -9 at {KILLS} random moments") as case:
        load.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.6))
            process = world.process(dice.choice(world.workers))
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


@pytest.mark.brokers("valkey", "redis")
def test_a_worker_killed_inside_its_blocking_pop(world: World, report: Report) -> None:
    load = Load(world, kinds=["page"], operations=5)
    with report.case("2 worker killed in BRPOP", did="SIGSTOP, publish, kill -9") as case:
        for name in world.workers:
            world.process(name).freeze()
        load.run()
        world.wait_published()
        time.sleep(0.5)  # the broker hands a message to the frozen one that popped first
        for name in world.workers:
            world.process(name).kill()
        case.recovered(world.wait_recovered())
        assert swept(world) > 0, "no message was lost: the test tested nothing"
        case.judged(judge(world, load))


# In the small form all at once: most of their time is spent waiting.
DOSES = [[behaviour] for behaviour in POISON] if FULL else [list(POISON)]


@pytest.mark.parametrize("poison", DOSES, ids=" ".join)
def test_poison_ends_as_a_dead_letter_and_costs_its_neighbours_nothing(
    world: World, report: Report, poison: list[str]
) -> None:
    for name in {*world.workers, "relay"}:  # a dead worker's attempts are counted by the relay
        world.process(name).stop()
        world.process(name).start(**LIMITS)

    did = f"{len(poison)} among {20 * len(poison)} neighbours"
    with report.case(f"11 poison: {', '.join(poison)}", did=did) as case:
        for behaviour in poison:
            send_among_neighbours(world, behaviour)
        case.recovered(world.wait_recovered(seconds=120))

        for behaviour in poison:
            assert outcomes(world, behaviour) == [
                (False, "probe.call", "done", 0, 20),
                (False, "probe.write", "done", 0, 20),
                (True, "probe.call", "dead", 2, 1),
                (True, "probe.write", "dead", 2, 1),
            ]
            error, of = POISON[behaviour], f"probes/poison-{behaviour}"
            attempts = world.rows(ATTEMPTS, of)
            assert [(number, error in text) for number, text in attempts] == [(1, True), (2, True)]
            neighbours = world.rows(EFFECTS, f"{behaviour}-%")
            assert neighbours == [(20, 20)]


def send_among_neighbours(world: World, behaviour: str) -> None:
    """Send a poisonous event, with ten good ones before it and after it."""
    good = [(f"{behaviour}-{number}", "ok") for number in range(20)]
    with httpx.Client(timeout=10) as http:
        for key, does in [*good[:10], (f"poison-{behaviour}", behaviour), *good[10:]]:
            http.post(f"{world.url()}/probe/?key={key}&behaviour={does}").raise_for_status()


def outcomes(world: World, behaviour: str) -> list[tuple[object, ...]]:
    """These are rows of (is the poison, handler, state, attempts, count)."""
    subjects = (f"probes/poison-{behaviour}", f"probes/%{behaviour}-%", f"probes/%-{behaviour}")
    return world.rows(OUTCOMES, *subjects)


def swept(world: World) -> int:
    """Return the number of deliveries that were published more than once."""
    return int(world.rows("SELECT count(*) FROM eventbook_delivery WHERE publications > 1")[0][0])
