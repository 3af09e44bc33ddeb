"""Disks that are full: under PostgreSQL, its tables and its log, and under the broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.faults.brokers import client_of
from tests.faults.disks import Disk, small_disk
from tests.faults.judge import judge
from tests.faults.load import Load, wait_for_more
from tests.faults.report import Report
from tests.faults.world import World
from tests.harness.processes import wait_for

SECONDS = 3


@pytest.fixture
def postgres_disk(world: World) -> Iterator[Disk]:
    """PostgreSQL, with all that it has, on a small disk."""
    world.servers.postgres.stop()
    with small_disk(world.data / "postgres", spare=200) as disk:
        world.start_servers()
        yield disk
        world.servers.postgres.stop()
    world.start_servers()


@pytest.fixture
def valkey_disk(world: World) -> Iterator[Disk]:
    """The broker, with its append-only file, on a small disk."""
    world.broker.stop()
    with small_disk(world.data / "valkey", spare=10) as disk:
        world.start_servers()
        yield disk
        world.broker.stop()
    world.start_servers()


def tables_cannot_grow(world: World) -> None:
    """PostgreSQL still has the log files that it made before."""


def the_log_cannot_grow(world: World) -> None:
    """PostgreSQL needs another log file, and stops when it gets none."""
    for _ in range(40):
        try:
            world.rows("SELECT pg_switch_wal()")
            world.rows("CREATE TABLE IF NOT EXISTS probe_nothing (); DROP TABLE probe_nothing")
        except psycopg.Error:
            return


LONG = pytest.mark.long


@pytest.mark.parametrize(
    "what", [the_log_cannot_grow, pytest.param(tables_cannot_grow, marks=LONG)]
)
def test_the_disk_of_postgres_is_full(
    world: World, report: Report, postgres_disk: Disk, what: Callable[[World], None]
) -> None:
    load = Load(world, operations=None)
    did = what.__name__.replace("_", " ")
    with report.case("18 disk full: PostgreSQL", did=did) as case:
        load.start()
        wait_for_more(load, 10)
        postgres_disk.fill()
        what(world)
        wait_for(lambda: 503 in load.codes, seconds=60, what="something cannot be written")
        time.sleep(SECONDS)
        postgres_disk.clear()
        world.start_servers()  # what a supervisor does, if it stopped
        wait_for_more(load, 10)
        load.finish()
        case.recovered(world.wait_recovered())

        assert set(load.codes) <= {200, 201, 204, 503}, load.codes
        assert max(load.seconds) < 6
        case.judged(judge(world, load))


def test_the_disk_of_the_broker_is_full(world: World, report: Report, valkey_disk: Disk) -> None:
    load = Load(world, operations=None)
    with (
        report.case("18 disk full: broker", did="its append-only file cannot grow") as case,
        client_of(world.broker) as broker,
    ):
        load.start()
        wait_for_more(load, 10)
        valkey_disk.fill()
        wait_for(
            lambda: broker.info("persistence")["aof_last_write_status"] == "err",
            seconds=30,
            what="the broker cannot write",
        )
        wait_for_more(load, 10)
        assert world.open(), "everything is delivered: the broker still works"
        time.sleep(SECONDS)
        valkey_disk.clear()
        load.finish()
        case.recovered(world.wait_recovered())

        assert set(load.codes) <= {200, 201, 204}, load.codes
        case.judged(judge(world, load))
