"""What commands say while a server is down or frozen: one line, soon, and no traceback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
from django.db import OperationalError

from config.command_errors import one_line
from stack.embedded import Servers
from tests.harness.processes import ROOT, environment

# A process needs a second or two to load, and more where it shares its machine.
SECONDS = 60
COMMANDS = (
    ["queues", "status"],
    ["queues", "pause", "feeds"],
    ["dead-letters", "list"],
    ["replay", "--type", "card.added", "--dry-run"],
    ["rebuild_feeds", "--all"],
    ["migrate"],
)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers of their own, which a test may freeze."""
    mine = Servers(tmp_path_factory.mktemp("servers"))
    mine.start()
    yield mine
    mine.stop()


def test_commands_end_with_a_line_while_postgres_is_frozen(servers: Servers) -> None:
    with frozen(servers.postgres.pid()):
        ended = run(COMMANDS, DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)

    assert_one_line(ended, "PostgreSQL can't be reached", "correct DATABASE_URL")


def test_commands_end_with_a_line_while_postgres_is_down(servers: Servers, tmp_path: Path) -> None:
    nowhere = servers.database_url.replace(str(servers.run.name), "elsewhere")

    ended = run(COMMANDS[::3], DATABASE_URL=nowhere, REDIS_URL=servers.redis_url)

    assert_one_line(ended, "PostgreSQL can't be reached", "correct DATABASE_URL")


def test_a_database_of_before_the_first_release_is_refused(servers: Servers) -> None:
    with psycopg.connect(servers.database_url, autocommit=True) as session:
        session.execute("CREATE TABLE events_event (id uuid)")
        ended = run([["migrate"]], DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)
        session.execute("DROP TABLE events_event")

    assert_one_line(ended, "before the first release", "use a new database")


def test_commands_say_that_the_tables_are_missing(servers: Servers) -> None:
    commands = [["queues", "status"]]

    ended = run(commands, DATABASE_URL=servers.database_url, REDIS_URL=servers.redis_url)

    assert_one_line(ended, "not that of this release", "manage.py migrate")


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_is_frozen_or_down_stops_no_command_for_long() -> None:
    commands = (["queues", "status"], ["dead-letters", "list"])
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and says nothing
        port = silent.getsockname()[1]
        *ended, doctor = run([*commands, ["doctor"]], **given(f"redis://127.0.0.1:{port}/0"))
    ended += run(commands[:1], **given("redis://127.0.0.1:1/0"))

    assert [(done.returncode, "Traceback" in done.stdout) for done in ended] == [(0, False)] * 3
    assert "BAD broker: unreachable" in doctor.stdout
    assert "Traceback" not in doctor.stdout


def given(broker: str) -> dict[str, str]:
    return {"DATABASE_URL": environment()["DATABASE_URL"], "REDIS_URL": broker}


@contextmanager
def frozen(pid: int | None) -> Iterator[None]:
    """Suspend a server and all its processes during the block."""
    assert pid
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def run(
    commands: Sequence[Sequence[str]], **variables: str
) -> list[subprocess.CompletedProcess[str]]:
    """Run commands concurrently with a time limit, and return the outcome of each."""
    secrets = {
        "SECRET_KEY": "x" * 50,
        "INSECURE_HTTP": "1",
    }
    running = [
        subprocess.Popen(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=os.environ | secrets | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for command in commands
    ]
    deadline = time.monotonic() + SECONDS
    try:
        said = [each.communicate(timeout=deadline - time.monotonic())[0] for each in running]
    finally:
        for each in running:
            each.kill()
    return [
        subprocess.CompletedProcess(each.args, each.returncode, text)
        for each, text in zip(running, said, strict=True)
    ]


def assert_one_line(ended: Sequence[subprocess.CompletedProcess[str]], *words: str) -> None:
    for done in ended:
        assert done.returncode == 1, done
        assert done.stdout.count("\n") == 1, done
        assert all(word in done.stdout for word in words), done


def test_a_deadlock_is_no_server_that_is_away() -> None:
    error = OperationalError("deadlock detected")
    error.__cause__ = psycopg.errors.DeadlockDetected()

    assert one_line(error) == (
        "PostgreSQL ended a deadlock with another session (deadlock detected): run this again."
    )
