"""Each fault that somebody must hear of trips the alerts that are named for it, and no other page.

How scrapes of a moment become what an alert waits for: tests/faults/alerting.py.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

import httpx
import psycopg
import pytest

from eventbook.operate.metrics.alerts import ALERTS
from tests.faults.alerting import Firing, Watch
from tests.faults.report import Report
from tests.faults.world import World
from tests.harness.processes import wait_for
from tests.harness.scraping import value

PAGES = {alert.name for alert in ALERTS if alert.page}
LONG = pytest.mark.long


def send(world: World, key: str, behaviour: str = "ok", *, count: int = 0) -> None:
    url = f"{world.url()}/probe/?key={key}&behaviour={behaviour}&count={count}"
    httpx.post(url, timeout=60).raise_for_status()


def pages(tripped: Firing) -> Firing:
    """These are the pages among the alerts."""
    return {(alert, queue) for alert, queue in tripped if alert in PAGES}


def test_what_goes_well_trips_nothing(world: World) -> None:
    watch = Watch(world)

    for number in range(5):
        send(world, f"fine-{number}")
    world.wait_recovered()

    assert watch.tripped(*watch.scrape_twice(apart=2.5)) == set()


@pytest.mark.parametrize("how", ["blackhole", pytest.param("refuse", marks=LONG)])
def test_a_broker_that_is_away_trips_relay_lagging(world: World, report: Report, how: str) -> None:
    watch = Watch(world)
    with report.case(f"alert: broker {how}", did="RelayLagging"):
        for process in world.processes.values():
            getattr(process.broker, how)()
        # The first is taken, and then its message can't be published.
        for number in range(30):
            send(world, f"away-{number}")
            if value(watch.scrape().samples, "outbox_depth") > 0:
                break

        assert ("RelayLagging", "") in pages(watch.tripped(*watch.scrape_twice()))


@LONG
def test_a_relay_that_is_dead_trips_relay_lagging(world: World, report: Report) -> None:
    watch = Watch(world)
    with report.case("alert: relay dead", did="RelayLagging"):
        world.process("relay").stop()
        send(world, "waits")

        assert pages(watch.tripped(*watch.scrape_twice())) == {("RelayLagging", "")}


@pytest.mark.parametrize("how", ["freeze", pytest.param("stop", marks=LONG)])
def test_a_group_of_workers_that_is_dead_trips_over_slo(
    world: World, report: Report, how: str
) -> None:
    watch = Watch(world)
    wait_for(lambda: workers(watch) > 0, seconds=15, what="the workers tell that they are there")
    watch.before = watch.scrape()
    with report.case(f"alert: workers {how}", did="QueueOverSLO"):
        getattr(world.process("feed-worker"), how)()
        send(world, "waits")
        wait_for(lambda: depth(watch) > 0, seconds=10, what="it waits for a worker")

        # A frozen one falls silent after 15 seconds: then nobody works on the queue, either.
        expected = {("QueueOverSLO", "feeds")}
        if how == "stop":
            wait_for(lambda: workers(watch) == 0, seconds=10, what="its row has gone")
            expected.add(("QueueWithoutWorkers", "feeds"))
        assert expected <= pages(watch.tripped(*watch.scrape_twice()))


def workers(watch: Watch) -> float:
    return value(watch.scrape().samples, "queue_workers", queue="feeds")


def depth(watch: Watch) -> float:
    return value(watch.scrape().samples, "queue_depth", queue="feeds")


def test_poison_trips_dead_letters_and_burns_the_budget(world: World, report: Report) -> None:
    watch = Watch(world)
    with report.case("alert: poison", did="DeadLetters, RetryRatio, SLOBurnRateFast"):
        first = watch.scrape()
        for number in range(12):
            send(world, f"poison-{number}", "raise")
        wait_for(lambda: died(watch) == 12, seconds=30, what="all are dead, and counted")

        tripped = watch.tripped(first, watch.scrape())
        assert {("DeadLetters", "feeds"), ("RetryRatio", "feeds")} <= tripped
        assert ("SLOBurnRateFast", "feeds") in pages(tripped)


def died(watch: Watch) -> float:
    labels = {"handler": "probe.call", "queue": "feeds", "outcome": "dead"}
    return value(watch.scrape().samples, "deliveries_total", **labels)


def test_workers_that_die_trip_sweeps_and_rescued_leases(world: World, report: Report) -> None:
    watch = Watch(world)
    with report.case("alert: workers killed", did="DeliveriesSwept, LeasesRescued"):
        send(world, "killer", "die")
        wait_for(
            lambda: value(watch.scrape().samples, "leases_rescued_total") > 0,
            seconds=30,
            what="a lease is taken back",
        )

        tripped = watch.tripped(*watch.scrape_twice())
        assert {("DeliveriesSwept", ""), ("LeasesRescued", "")} <= tripped


def cut_off_postgres(world: World) -> None:
    world.process("exporter").database.refuse()


def stop_postgres(world: World) -> None:
    world.stop_postgres_immediately()


@pytest.mark.parametrize("fault", [cut_off_postgres, pytest.param(stop_postgres, marks=LONG)])
def test_a_database_that_is_away_trips_metrics_absent(
    world: World, report: Report, fault: Callable[[World], None]
) -> None:
    watch = Watch(world)
    with report.case(f"alert: {fault.__name__}", did="MetricsAbsent"):
        fault(world)
        wait_for(lambda: not watch.scrape().samples, seconds=15, what="the exporter says so")

        assert pages(watch.tripped(*watch.scrape_twice())) == {("MetricsAbsent", "")}


@LONG
def test_an_exporter_that_is_dead_trips_metrics_absent(world: World, report: Report) -> None:
    watch = Watch(world)
    with report.case("alert: exporter dead", did="MetricsAbsent"):
        world.process("exporter").stop()

        assert pages(watch.tripped(*watch.scrape_twice())) == {("MetricsAbsent", "")}


@LONG
def test_a_flood_trips_over_slo(world: World, report: Report) -> None:
    with report.case("alert: flood", did="QueueOverSLO, with an SLO of a second"):
        world.process("exporter").stop()
        world.process("exporter").start(NOTIFICATIONS_SLO_SECONDS="1")
        watch, ended = Watch(world), threading.Event()

        def flood() -> None:
            number = 0
            while not ended.is_set():
                number += 1
                send(world, f"flood{number}", "slow", count=500)

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            wait_for(lambda: oldest(watch) > 1, seconds=60, what="the queue is late")
            tripped = pages(watch.tripped(*watch.scrape_twice(apart=3)))
        finally:
            ended.set()
            thread.join()
        assert ("QueueOverSLO", "notifications") in tripped


def oldest(watch: Watch) -> float:
    return value(watch.scrape().samples, "queue_oldest_seconds", queue="notifications")


def test_a_queue_that_stays_paused_trips_a_ticket_and_no_page(world: World, report: Report) -> None:
    watch = Watch(world)
    with report.case("alert: paused, and forgotten", did="QueuePausedLong"):
        world.manage("queues", "pause", "feeds", "--reason", "tried")
        send(world, "waits")
        wait_for(lambda: depth(watch) > 0, seconds=10, what="it waits")

        assert watch.tripped(*watch.scrape_twice()) == {("QueuePausedLong", "feeds")}


@LONG
def test_a_database_that_is_full_of_connections_trips_connections_high(
    world: World, report: Report
) -> None:
    watch = Watch(world)
    with report.case("alert: connections", did="ConnectionsHigh"), ExitStack() as taken:
        allowed = value(watch.before.samples, "database_connections_max")
        used = value(watch.before.samples, "database_connections")
        for _ in range(int(0.85 * allowed - used)):
            taken.enter_context(psycopg.connect(world.servers.database_url))

        assert watch.tripped(*watch.scrape_twice()) == {("ConnectionsHigh", "")}


@LONG
def test_a_wrong_clock_trips_clock_skew(world: World, report: Report) -> None:
    watch = Watch(world)
    with report.case("alert: a clock is wrong", did="ClockSkew"):
        world.process("relay").stop()
        world.process("relay").start(MUTATION="skew", SKEW_SECONDS="90")
        wait_for(lambda: ahead(watch) > 60, seconds=15, what="the relay tells its clock")

        assert watch.tripped(*watch.scrape_twice()) == {("ClockSkew", "")}


def ahead(watch: Watch) -> float:
    return watch.scrape().samples.get(
        ("process_clock_ahead_seconds", frozenset({("group", "relay")})), 0.0
    )


# As if it had happened two minutes ago: the auditor leaves what is younger alone.
BY_HAND = """
    WITH known AS (UPDATE eventbook_subscription SET since = since - interval '1 hour'),
         aged AS (UPDATE eventbook_event SET recorded_at = recorded_at - interval '2 minutes')
    DELETE FROM eventbook_delivery WHERE handler = 'probe.call'
"""


def test_a_delivery_that_somebody_deleted_trips_audit_violation(
    world: World, report: Report
) -> None:
    watch = Watch(world)
    with report.case("alert: a delivery deleted by hand", did="AuditViolation"):
        send(world, "deleted")
        world.wait_recovered()
        world.rows(BY_HAND)
        world.manage("shell", "-c", "from eventbook.operate.audit import audit; audit()")

        assert pages(watch.tripped(*watch.scrape_twice())) == {("AuditViolation", "")}
