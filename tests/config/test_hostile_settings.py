"""Settings of a server, database, role and process that would break what relies on them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from psycopg import sql

from stack.embedded import NAME, PORT, Servers
from tests.harness.processes import ROOT, wait_for

HOSTILE = "hostile"
# Half of them are set for the database, and half for the role, which comes after it.
SETTINGS = {
    "TimeZone": "Asia/Kathmandu",
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "default_transaction_isolation": "repeatable read",
    "default_transaction_read_only": "on",
    "default_transaction_deferrable": "on",
    "search_path": "elsewhere",
    "standard_conforming_strings": "off",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "idle_session_timeout": "1s",
    "transaction_timeout": "2s",
    "statement_timeout": "20ms",
    "lock_timeout": "20ms",
    "idle_in_transaction_session_timeout": "20ms",
}
ENVIRONMENT = {
    "LC_ALL": "C",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "ascii",
    "TZ": "America/St_Johns",
    "PGTZ": "Asia/Kathmandu",
    "PGDATESTYLE": "German",
    "PGCLIENTENCODING": "EUC_JP",
    "PGOPTIONS": "-c default_transaction_read_only=on",
}
PEOPLE_AT_WORK = r"""
from accounts import services as accounts
from cards import services as cards
from eventbook.beat.schedule import record_due_slots
alice, bob = [
    accounts.register(username=name, email=f"{name}@example.org", password=f"{name}-reads-a-lot")
    for name in ("alice", "bob")
]
accounts.follow(follower=bob, followed=alice, notify=True)
for text in ("na\u00efve \\n \u6771\u4eac \U0001f600", "it's back\\slashed \\' \\"):
    cards.add_card(curator=alice, type="NOTE", text=text)
record_due_slots()
"""


@pytest.fixture
def hostile() -> Iterator[dict[str, str]]:
    """The environment of a process whose every setting is another than we rely on."""
    address = settings.DATABASE_URL.replace(f"/{NAME}?", "/postgres?")
    with psycopg.connect(address, autocommit=True) as session, made(session):
        servers = Servers(settings.DATA_DIR)
        kept = {name: text for name, text in os.environ.items() if not name.startswith("DJANGO")}
        yield kept | ENVIRONMENT | {
            "DATABASE_URL": f"postgres://{HOSTILE}@/{HOSTILE}?host={servers.run}&port={PORT}",
            "REDIS_URL": servers.redis_url.replace("virtual_host=0", "virtual_host=6"),
            "SECRET_KEY": settings.SECRET_KEY,
            "INSECURE_HTTP": "1",
        }  # fmt: skip


@contextmanager
def made(session: psycopg.Connection) -> Iterator[None]:
    """Create the role and the database during the block."""
    name = sql.Identifier(HOSTILE)
    session.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    session.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
    for place, (setting, value) in enumerate(SETTINGS.items()):
        whose = sql.SQL(("DATABASE", "ROLE")[place % 2])
        change = sql.SQL("ALTER {} {} SET {} = {}")
        session.execute(change.format(whose, name, sql.Identifier(setting), sql.Literal(value)))
    try:
        yield
    finally:
        session.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
        session.execute(sql.SQL("DROP ROLE {}").format(name))


def test_settings_of_server_and_process_do_not_matter(
    hostile: dict[str, str], tmp_path: Path
) -> None:
    manage(hostile, "migrate", "--verbosity", "0")
    with working(hostile, tmp_path):
        manage(hostile, "shell", "--no-imports", "-c", PEOPLE_AT_WORK)
        wait_for(lambda: ended(hostile), seconds=60, what="every delivery has ended")

    assert set(states(hostile)) == {"done"}
    assert asked(hostile, "SELECT count(*) FROM notifications_notification") == [(3,)]
    texts = {text for (text,) in asked(hostile, "SELECT text FROM cards_card")}
    assert texts == {"naïve \\n 東京 😀", "it's back\\slashed \\' \\"}
    found = {row["subject"]: row for row in json.loads(manage(hostile, "doctor", "--json", code=1))}
    assert found["database session"]["well"], found["database session"]
    assert found["clock"]["well"], found["clock"]
    assert "events" in manage(hostile, "queues", "status")


def test_a_database_of_another_encoding_is_refused_in_one_line(hostile: dict[str, str]) -> None:
    address = settings.DATABASE_URL.replace(f"/{NAME}?", "/postgres?")
    with psycopg.connect(address, autocommit=True) as session:
        session.execute(
            "CREATE DATABASE euc TEMPLATE template0 ENCODING 'EUC_JP'"
            " LOCALE_PROVIDER libc LOCALE 'C'"
        )
    hostile["DATABASE_URL"] = hostile["DATABASE_URL"].replace(f"/{HOSTILE}?", "/euc?")
    try:
        said = manage(hostile, "migrate", "--verbosity", "0", code=1)
        found = json.loads(manage(hostile, "doctor", "--json", code=1))
    finally:
        with psycopg.connect(address, autocommit=True) as session:
            session.execute("DROP DATABASE euc WITH (FORCE)")

    assert "encoding is EUC_JP" in said
    assert said.count("\n") == 1
    told = {row["subject"]: row["text"] for row in found}
    assert told["database session"] == "server_encoding is EUC_JP, not UTF8"


@contextmanager
def working(environment: dict[str, str], folder: Path) -> Iterator[None]:
    """Run a relay and the workers during the block."""
    processes = []
    for arguments in (["relay"], ["worker", *settings.QUEUES]):
        with (folder / f"{arguments[0]}.log").open("wb") as log:
            command = [sys.executable, "manage.py", *arguments]
            options: dict[str, Any] = {"stdout": log, "stderr": log, "start_new_session": True}
            processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, **options))
    try:
        yield
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def manage(environment: dict[str, str], *arguments: str, code: int = 0) -> str:
    """Run a management command, and return its output."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def ended(environment: dict[str, str]) -> bool:
    return bool(found := states(environment)) and found.keys() <= {"done", "dead"}


def states(environment: dict[str, str]) -> dict[str, int]:
    """Return the number of deliveries by state, and of outbox entries."""
    return dict(
        asked(
            environment,
            "SELECT state, count(*) FROM eventbook_delivery GROUP BY 1"
            " UNION ALL SELECT 'outbox', 1 FROM eventbook_outboxentry",
        )
    )


def asked(environment: dict[str, str], statement: str) -> list[tuple[Any, ...]]:
    """Query the database with usable session settings."""
    address = environment["DATABASE_URL"].replace(f"{HOSTILE}@", f"{NAME}@")
    options = "-c search_path=public -c statement_timeout=0 -c client_encoding=UTF8"
    with psycopg.connect(address, autocommit=True, options=options) as session:
        return session.execute(statement.encode()).fetchall()
