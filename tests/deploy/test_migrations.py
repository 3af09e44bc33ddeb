"""Migrations run under load: nobody waits behind them, and the release before goes on working."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from django.test import modify_settings
from django_migration_linter import MigrationLinter

from tests.harness.processes import ROOT, environment, killed_on_failure, wait_for

APPS = [path.parent.parent.name for path in ROOT.glob("*/migrations/__init__.py")]
# How long a request waits for a response of the database (server/wsgi.py).
REPLY_SECONDS = 4
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO "django_migrations"%'
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "migrate.log"


@pytest.fixture
def table(transactional_db: None, log: Path) -> Iterator[None]:
    """A table of the release before, with a row."""
    assert migrate("0001", log).wait() == 0, log.read_text()
    with session() as database:
        database.execute("INSERT INTO release_page (title) VALUES ('first')")
    yield
    assert migrate("zero", log).wait() == 0, log.read_text()


def test_a_migration_that_waits_for_a_lock_lets_everyone_else_through(
    table: None, log: Path
) -> None:
    with session() as reader, writing() as waits:
        # A long read, as a backup's: the change of the table has to wait for its end.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM release_page")
        running = migrate("0002", log)
        with killed_on_failure(running):
            wait_for(
                lambda: "migration.locked" in log.read_text(), seconds=60, what="one try ended"
            )
            written = len(waits)
            wait_for(lambda: len(waits) > written, seconds=10, what="writing goes on meanwhile")
            reader.execute("COMMIT")
            code = running.wait(timeout=60)

    with session() as database:
        database.execute("INSERT INTO release_page (title, note) VALUES ('last', 'is there')")
    assert code == 0, log.read_text()
    assert 1 < max(waits) < REPLY_SECONDS, "nobody waited at all, or for too long"


def test_a_migration_that_deadlocks_with_a_request_is_tried_again(table: None, log: Path) -> None:
    with session() as request, session() as watching:
        request.execute("BEGIN")
        request.execute("SET LOCAL deadlock_timeout = '30s'")  # the migration notices it first
        request.execute("LOCK TABLE django_migrations IN SHARE MODE")
        running = migrate("0002", log)
        with killed_on_failure(running):
            wait_for(
                lambda: watching.execute(WAITING).fetchone() == (1,),
                seconds=60,
                what="the migration has changed the table, and waits to be recorded",
            )
            request.execute("SELECT count(*) FROM release_page")
            request.execute("COMMIT")
            code = running.wait(timeout=60)

    assert code == 0, log.read_text()


@pytest.mark.django_db
def test_each_migration_leaves_the_release_before_working() -> None:
    assert refused(APPS) == set()


@pytest.mark.django_db
def test_a_migration_that_breaks_the_release_before_is_refused() -> None:
    with modify_settings(INSTALLED_APPS={"append": "tests.deploy.release"}):
        found = refused(["release"])

    assert found == {"release.0003_breaks_the_release_before"}


def refused(apps: list[str]) -> set[str]:
    """Return the migrations with which the release before would fail."""
    linter = MigrationLinter(
        include_apps=apps, analyser_string="postgresql", no_cache=True, no_output=True
    )
    found = set()
    for migration in linter.migration_loader.disk_migrations.values():
        linter.reset_counters()
        linter.lint_migration(migration)
        if linter.has_errors:
            found.add(f"{migration.app_label}.{migration.name}")
    return found


def migrate(target: str, log: Path) -> subprocess.Popen[bytes]:
    """Start the release command, up to one migration."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "manage.py", "migrate", "release", target],
            cwd=ROOT,
            env=environment() | {"DJANGO_SETTINGS_MODULE": "tests.deploy.release.settings"},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


@contextmanager
def writing() -> Iterator[list[float]]:
    """Insert rows during the block; the list fills with the seconds that each insert took."""
    waits: list[float] = []
    ended = threading.Event()

    def write() -> None:
        with session() as database:
            while not ended.wait(0.02):
                start = time.monotonic()
                database.execute("INSERT INTO release_page (title) VALUES ('more')")
                waits.append(time.monotonic() - start)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield waits
    finally:
        ended.set()
        thread.join(timeout=30)


def session() -> psycopg.Connection[tuple[object, ...]]:
    """Open a connection to the test database, separate from Django's."""
    return psycopg.connect(environment()["DATABASE_URL"], autocommit=True)
