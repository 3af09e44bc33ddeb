"""The database's password is changed while everything runs: the sequences of docs/deploying.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from psycopg import sql

from tests.harness.links import Link
from tests.harness.processes import Workers, wait_for
from tests.harness.watched import Watched
from tests.probe.models import Effect
from tests.probe.signals import ProbeSent, probe_sent

pytestmark = pytest.mark.django_db(transaction=True)

OLD, NEW = "commonplace_old", "commonplace_new"
TABLE = "made_by_a_migration"
RelayAs = Callable[[str, str], Watched]


@pytest.fixture
def passwords() -> Iterator[None]:
    """PostgreSQL asks these two for a password; everybody else is still trusted."""
    ((place,),) = rows("SHOW hba_file")
    file = Path(str(place))
    before = file.read_text()
    file.write_text(f"local all {OLD},{NEW} scram-sha-256\n{before}")
    rows("SELECT pg_reload_conf()")
    wait_for(lambda: rows(RULES) == [(1,)], seconds=10, what="the rule is in force")
    yield
    file.write_text(before)
    rows("SELECT pg_reload_conf()")
    rows(f"DROP TABLE IF EXISTS {TABLE}")
    for role in (OLD, NEW):
        rows(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


LISTENS = (
    "SELECT count(*) FROM pg_stat_activity WHERE usename = '{}' AND application_name = 'listener'"
)
RULES = (
    "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method = 'scram-sha-256' AND error IS NULL"
)


@pytest.fixture
def relay_as(passwords: None, link: Link, workers: Workers, tmp_path: Path) -> Iterator[RelayAs]:
    """Starts a relay that logs in with a role and a password, beside the session's workers."""
    started: list[Watched] = []

    def start(role: str, password: str) -> Watched:
        log = tmp_path / f"relay-{len(started)}.log"
        variables = {"DATABASE_URL": address(link, role, password), "PROCESS_NAME": "relay"}
        relay = Watched(["manage.py", "relay"], log, variables)
        started.append(relay)
        relay.wait_health(200, seconds=30)
        # It opens its connections one after the other; this is the last.
        wait_for(lambda: rows(LISTENS.format(role)) == [(1,)], seconds=30, what="it listens")
        return relay

    yield start
    for relay in started:
        if relay.popen.poll() is None:
            relay.stop()


def test_with_two_roles_nobody_is_ever_shut_out(relay_as: RelayAs, link: Link) -> None:
    make(OLD, "first")
    first = relay_as(OLD, "first")
    send_and_wait("before")
    with psycopg.connect(address(link, OLD, "first"), autocommit=True) as migration:
        migration.execute(f"CREATE TABLE {TABLE} ()")

    make(NEW, "second")
    may_both = [can_log_in(link, OLD, "first"), can_log_in(link, NEW, "second")]
    rows(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(OLD)))
    send_and_wait("on an open connection of the role that is shut out")
    assert first.stop() == 0
    relay_as(NEW, "second")
    send_and_wait("after")

    assert may_both == [True, True]
    assert not can_log_in(link, OLD, "first")
    rows(sql.SQL("DROP ROLE {}").format(sql.Identifier(OLD)))  # it owns nothing
    assert Effect.objects.filter(handler="probe.write").count() == 3


def test_with_a_changed_password_open_connections_live_on_and_new_ones_wait_for_it(
    relay_as: RelayAs, link: Link
) -> None:
    make(OLD, "first")
    relay = relay_as(OLD, "first")

    change = sql.SQL("ALTER ROLE {} PASSWORD 'second'").format(sql.Identifier(OLD))
    rows(change)
    send_and_wait("on an open connection")
    may_log_in = [can_log_in(link, OLD, word) for word in ("first", "second")]
    # Until it is told the new one, who loses its connection waits, and what is recorded does.
    rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{OLD}'")
    relay.wait_health(200, "waiting for the database", seconds=30)
    send("waits")
    assert relay.stop() == 0
    relay_as(OLD, "second")
    wait_for(lambda: done("waits"), seconds=30, what="what waited is delivered")

    assert may_log_in == [False, True]
    assert Effect.objects.filter(handler="probe.write").count() == 2


def rows(statement: str | sql.Composed) -> list[tuple[object, ...]]:
    """Run an operator's statement on a separate connection."""
    url = settings.DATABASE_URL.replace("/commonplace?", f"/{connection.settings_dict['NAME']}?")
    with psycopg.connect(url, autocommit=True) as session:
        query = statement.encode() if isinstance(statement, str) else statement
        cursor = session.execute(query)
        return cursor.fetchall() if cursor.description else []


def make(role: str, password: str) -> None:
    """Create a role that acts as the owner of all tables."""
    name = sql.Identifier(role)
    rows(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE commonplace").format(name, password))
    rows(sql.SQL("ALTER ROLE {} SET role = 'commonplace'").format(name))


def address(link: Link, role: str, password: str) -> str:
    database = connection.settings_dict["NAME"]
    return f"postgres://{role}:{password}@127.0.0.1:{link.port}/{database}"


def can_log_in(link: Link, role: str, password: str) -> bool:
    try:
        psycopg.connect(address(link, role, password), connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def send(key: str) -> None:
    with transaction.atomic():
        probe_sent.send(sender=None, event=ProbeSent(key=key))


def done(key: str) -> bool:
    return Effect.objects.filter(handler="probe.write", key=key).exists()


def send_and_wait(key: str) -> None:
    send(key)
    wait_for(lambda: done(key), seconds=30, what=f"{key!r} is delivered")
