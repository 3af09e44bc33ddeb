"""A backup taken under load, restored: what it holds is delivered, and its effects happen once."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Hashable
from pathlib import Path

import psycopg

from stack.binaries import postgres_bin
from tests.faults.judge import Verdict, check_deliveries, effects
from tests.faults.load import Load, wait_for_more
from tests.faults.report import Report
from tests.faults.world import World

OPERATIONS = 20  # before, in and after the backup
STORED = "SELECT substr(subject, 8), 'probe.write' FROM eventbook_event WHERE type = 'probe.sent'"


def test_a_backup_taken_under_load_is_restored_and_delivered_once(
    world: World, report: Report, tmp_path: Path
) -> None:
    load = Load(world, operations=None, kinds=("page", "note", "probe"), pause=0.05)
    dump = tmp_path / "commonplace.dump"
    with report.case("23 backup restored", did="taken under load, the broker emptied") as case:
        load.start()
        wait_for_more(load, OPERATIONS)
        # So that there is open work at the moment of the backup.
        world.process("feed-worker").stop()
        wait_for_more(load, OPERATIONS)
        world.manage("queues", "pause", "feeds", "--reason", "a backup is taken")
        client(world, "pg_dump", "--format=custom", f"--file={dump}")
        wait_for_more(load, OPERATIONS)
        load.finish()
        recorded = world.rows("SELECT count(*) FROM eventbook_event")

        restore(world, dump)
        assert world.rows("SELECT count(*) FROM eventbook_event") < recorded, (
            "nothing came after it"
        )
        assert not world.is_quiet(), "nothing was open at the moment of the backup"
        for name in world.always:
            world.process(name).start()
        # It stays paused, and that is said, with what to do.
        for said in (world.manage("doctor", fails=True), world.manage("queues", "status")):
            assert "the backup from which this database was restored" in said
        world.manage("queues", "resume", "feeds")
        case.recovered(world.wait_recovered())

        verdict = Verdict()
        check_deliveries(world, verdict, frozenset({"done"}))
        found = effects(world)
        verdict.compare("effects of probes", Counter(world.rows(STORED)), found["probes"])
        verdict.compare("timelines", rebuilt(world), found["timelines"])
        case.judged(verdict)


def restore(world: World, dump: Path) -> None:
    """Restore a dump as in docs/deploying.md: stop all, and start with an empty broker."""
    for name in world.always:
        if world.process(name).wanted:
            world.process(name).stop()
    address = world.servers.database_url.replace("/commonplace?", "/postgres?")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("DROP DATABASE commonplace WITH (FORCE)")
        server.execute("CREATE DATABASE commonplace")
    client(world, "pg_restore", "--no-owner", "--exit-on-error", str(dump))
    world.broker.forget_everything()


def rebuilt(world: World) -> Counter[Hashable]:
    """Return the timelines, rebuilt from cards and follows."""
    world.manage("rebuild_feeds", "--all")
    return effects(world)["timelines"]


def client(world: World, program: str, *arguments: str) -> None:
    """Run one of PostgreSQL's client programs on the world's database."""
    address = f"--dbname={world.servers.database_url}"
    done = subprocess.run(
        [postgres_bin() / program, address, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
