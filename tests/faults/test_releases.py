"""Deploys: everything restarted, old and new releases side by side, schedulers that meet."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.faults.judge import judge
from tests.faults.load import Load, wait_for_more
from tests.faults.report import Report
from tests.faults.sizes import ROUNDS
from tests.faults.world import World
from tests.harness.processes import wait_for

GRACE = 15.0  # seconds: the soft shutdown's ten, and then some
EVERYTHING = ("web", "web2", "relay", "notification-worker", "feed-worker", "event-worker", "beat")


@pytest.mark.timeout(1800)
def test_a_rolling_restart_of_everything(world: World, report: Report) -> None:
    # It takes a while: nobody hurries, or the run without the fault would take as long.
    load = Load(world, operations=None, webs=["web", "web2"], pause=0.5)
    slowest = 0.0
    with report.case("13 rolling restarts", did=f"{ROUNDS} rounds, every process") as case:
        for name in ("web2", "beat"):
            world.process(name).start()
        load.start()
        for _ in range(ROUNDS):
            for name in EVERYTHING:
                slowest = max(slowest, world.process(name).stop())
                world.process(name).start()
            wait_for_more(load, 5)
        load.finish()
        world.process("beat").stop()
        case.recovered(world.wait_recovered())

        assert slowest < GRACE
        assert set(load.codes) <= {200, 201, 204}, load.codes
        forget_schedules(world)
        case.judged(judge(world, load))


def forget_schedules(world: World) -> None:
    """Delete the scheduler's events, which the judge must not count."""
    world.rows("DELETE FROM eventbook_delivery USING eventbook_event e WHERE e.id = event_id"
               " AND e.type LIKE '%.due'")  # fmt: skip
    world.rows("DELETE FROM eventbook_event WHERE type LIKE '%.due'")


def test_an_older_event_is_read_and_a_newer_one_waits_for_its_release(
    world: World, report: Report
) -> None:
    with report.case("14 versions", did="version 1 at 2, and 2 at 1") as case:
        world.process("web2").start(MUTATION="late_release")
        send(world, "web2", "newer")  # recorded as version 2
        wait_for(lambda: deferred(world) == 2, seconds=20, what="both deliveries are put off")
        assert world.rows(
            "SELECT max(attempts), count(*) FROM eventbook_attempt, eventbook_delivery"
        ) == [(None, 0)]
        for name in ("notification-worker", "feed-worker"):
            world.process(name).stop()
            world.process(name).start(MUTATION="late_release")
        send(world, "web", "older")  # recorded as version 1
        world.rows("UPDATE eventbook_delivery SET due_at = now() WHERE state = 'retry'")
        case.recovered(world.wait_recovered())

        assert versions(world) == [("probes/newer", 2, "done"), ("probes/older", 1, "done")]


def send(world: World, web: str, key: str) -> None:
    httpx.post(f"{world.url(web)}/probe/?key={key}", timeout=10).raise_for_status()


def deferred(world: World) -> int:
    return int(
        world.rows(
            "SELECT count(*) FROM eventbook_delivery WHERE state = 'retry' AND attempts = 0"
        )[0][0]
    )


def versions(world: World) -> list[tuple[object, ...]]:
    return world.rows(
        "SELECT DISTINCT subject, version, state FROM eventbook_delivery"
        " JOIN eventbook_event event ON event.id = event_id WHERE handler LIKE 'probe.%' ORDER BY 1"
    )


def test_schedulers_that_meet_and_die_run_each_slot_once(world: World, report: Report) -> None:
    with report.case("17 schedulers", did="two at once, killed again and again") as case:
        for name in ("beat", "beat2"):
            world.process(name).start()
        for _ in range(4):
            for name in ("beat", "beat2"):
                if world.process(name).pid:
                    world.process(name).kill()
            time.sleep(0.5)
            for name in ("beat", "beat2"):
                wait_for(lambda: world.process(name).pid, seconds=10, what="it runs again")  # noqa: B023
        for name in ("beat", "beat2"):
            world.process(name).wait_ready()
        wait_for(lambda: world.rows(SLOTS)[0][0] > 0, seconds=20, what="slots are recorded")
        case.recovered(world.wait_recovered())

        slots, keys, runs = world.rows(SLOTS)[0]
        assert slots == keys == runs
        results = world.rows("SELECT task_name, count(*) FROM django_celery_results_taskresult"
                             " GROUP BY 1")  # fmt: skip
        assert results
        for name in ("beat", "beat2"):
            world.process(name).stop()


SLOTS = """
    SELECT count(DISTINCT event.id), count(DISTINCT event.key),
           count(*) FILTER (WHERE state = 'done' AND attempts = 0)
    FROM eventbook_event event LEFT JOIN eventbook_delivery delivery ON delivery.event_id = event.id
    WHERE type LIKE '%.due'
"""


def test_a_handler_that_the_next_release_adds(world: World, report: Report) -> None:
    with report.case("20 handler added", did="old relay still running") as case:
        relay2 = world.process("relay2")
        relay2.start(MUTATION="late_release")
        late = "SELECT 1 FROM eventbook_subscription WHERE handler = 'probe.late'"
        wait_for(lambda: world.rows(late), seconds=10, what="the new handler is subscribed")
        relay2.freeze()  # so that the old relay gets the event
        send(world, "web", "during")
        wait_for(lambda: not world.rows("SELECT 1 FROM eventbook_outboxentry"), seconds=10,
                 what="the old relay has expanded it")  # fmt: skip
        relay2.thaw()
        world.process("event-worker").stop()
        world.process("event-worker").start(MUTATION="late_release")
        wait_for(lambda: effects_of(world, "probe.late") == ["during"], seconds=40,
                 what="the new handler gets it too")  # fmt: skip
        case.recovered(world.wait_recovered())
        assert effects_of(world, "probe.write") == ["during"]
        forget_late_release(world)


def test_a_handler_that_is_renamed_or_removed(world: World, report: Report) -> None:
    with report.case("20 handler renamed", did="open deliveries under its old name") as case:
        world.process("event-worker").stop()
        send(world, "web", "renamed")
        wait_for(lambda: effects_of(world, "probe.write") == ["renamed"], seconds=10, what="done")
        world.rows(
            "INSERT INTO eventbook_delivery (event_id, handler, queue, state, priority, due_at,"
            " recorded_at) SELECT event_id, name, 'events', 'queued', 5, now(), now()"
            " FROM eventbook_delivery, unnest(ARRAY['probe.early', 'probe.removed']) AS name"
            " WHERE handler = 'probe.write'"
        )
        for name in ("relay", "event-worker"):
            if world.process(name).wanted:
                world.process(name).stop()
            world.process(name).start(MUTATION="late_release")
        wait_for(lambda: effects_of(world, "probe.late") == ["renamed"], seconds=30,
                 what="the handler with the new name has run")  # fmt: skip

        left = world.rows("SELECT handler, state FROM eventbook_delivery WHERE due_at IS NOT NULL")
        assert left == [("probe.removed", "queued")]
        assert "probe.removed" in world.manage("doctor", fails=True)
        world.rows("DELETE FROM eventbook_delivery WHERE handler = 'probe.removed'")
        case.recovered(world.wait_recovered())
        forget_late_release(world)


def effects_of(world: World, handler: str) -> list[str]:
    rows = world.rows("SELECT key FROM probe_effect WHERE handler = %s ORDER BY key", handler)
    return [key for (key,) in rows]


def forget_late_release(world: World) -> None:
    """Delete the late release's subscription, so that the next test starts with this release."""
    world.rows("DELETE FROM eventbook_subscription WHERE handler = 'probe.late'")
