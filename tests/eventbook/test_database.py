from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, connections, transaction
from psycopg_pool import ConnectionPool

from eventbook.database import listener
from eventbook.database.base import (
    FRESH_SECONDS,
    DatabaseWrapper,
    PreparedCursor,
    TimeLimitedConnection,
)
from eventbook.database.configuration import configured
from eventbook.database.listener import Listener
from tests.harness.links import Link

POOL = {"connection_class": TimeLimitedConnection, "timeout": 2, "reconnect_timeout": 1}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def far(link: Link, settings: Any) -> Iterator[DatabaseWrapper]:
    """Django's connection, over that link; half a second is long for it."""
    settings.DATABASE_REPLY_SECONDS = 0.5
    here = connection.settings_dict
    there = DatabaseWrapper(here | {"HOST": "127.0.0.1", "PORT": str(link.port)}, alias="far")
    yield there
    there.close()


def test_a_server_that_does_not_answer_is_given_up(far: DatabaseWrapper, link: Link) -> None:
    with far.cursor() as cursor:
        link.blackhole()
        began = time.monotonic()
        with pytest.raises(OperationalError):
            cursor.execute("SELECT 1")

    assert 0.4 < time.monotonic() - began < 2
    link.pass_on()
    with pytest.raises((OperationalError, InterfaceError)):
        # Never the answer that was still to come.
        far.cursor().execute("SELECT 2")
    far.close()
    with far.cursor() as cursor:
        cursor.execute("SELECT 3")
        assert cursor.fetchone() == (3,)


def test_a_statement_that_was_prepared_before_a_migration_fails_once() -> None:
    here = connection.settings_dict
    options = here["OPTIONS"] | {"server_side_binding": True, "prepare_threshold": 0}
    prepared = DatabaseWrapper(here | {"OPTIONS": options}, alias="prepared")
    with connection.cursor() as migration, prepared.cursor() as cursor:
        migration.execute("CREATE TABLE migrated AS SELECT 1 AS number")
        cursor.execute("SELECT number FROM migrated")
        migration.execute("ALTER TABLE migrated ALTER number TYPE bigint")

        with pytest.raises(OperationalError):
            cursor.execute("SELECT number FROM migrated")

    prepared.close()
    with connection.cursor() as migration, prepared.cursor() as cursor:
        cursor.execute("SELECT number FROM migrated")
        assert cursor.fetchone() == (1,)
        migration.execute("DROP TABLE migrated")
    prepared.close()


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [(True, {"plain", "asked for"}), (None, {"asked for"}), (False, set())],
)
def test_statements_are_prepared_by_all_by_some_or_by_none(
    prepare: bool | None, expected: set[str]
) -> None:
    here = dict(connection.settings_dict)
    there = configured(
        here,
        process="test",
        reply_seconds=30,
        lock_seconds=1,
        idle_transaction_seconds=30,
        pool_size=0,
        prepare=prepare,
    )
    session = DatabaseWrapper(there, alias="prepared")

    with session.cursor() as cursor:
        for _ in range(4):
            cursor.execute("SELECT 'plain'")
            PreparedCursor(session.connection).execute("SELECT 'asked for'")
        cursor.execute("SELECT substr(statement, 9) FROM pg_prepared_statements")
        found = {text.removesuffix("'") for (text,) in cursor.fetchall()}

    assert found == expected
    session.close()


def test_a_transaction_that_lost_its_server_ends_without_another_one(
    far: DatabaseWrapper, link: Link
) -> None:
    connections["far"] = far
    try:
        began = time.monotonic()
        with pytest.raises(OperationalError):
            lose_server_in_transaction(far, link)
        assert time.monotonic() - began < 1.5
        link.pass_on()
        with transaction.atomic(using="far"), far.cursor() as cursor:
            cursor.execute("SELECT 3")
            assert cursor.fetchone() == (3,)
    finally:
        del connections["far"]


def lose_server_in_transaction(far: DatabaseWrapper, link: Link) -> None:
    with transaction.atomic(using="far"), far.cursor() as cursor:
        cursor.execute("SELECT 1")
        link.blackhole()
        cursor.execute("SELECT 2")


def test_a_connection_is_tested_within_a_second(
    far: DatabaseWrapper, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.ensure_connection()
    settings.DATABASE_REPLY_SECONDS = 60
    assert far.is_usable()
    link.blackhole()
    monkeypatch.setattr(far.connection, "_responded_at", time.monotonic() - 2 * FRESH_SECONDS)
    began = time.monotonic()

    assert not far.is_usable()

    assert time.monotonic() - began < 3


def test_a_server_that_does_not_greet_is_given_up(far: DatabaseWrapper, link: Link) -> None:
    link.blackhole()
    began = time.monotonic()

    with pytest.raises(OperationalError):
        far.ensure_connection()

    assert time.monotonic() - began < 4


def test_a_pool_whose_connections_all_broke_serves_the_next_request(
    link: Link, settings: Any
) -> None:
    here = settings.DATABASES["default"]
    options = here["OPTIONS"] | {"pool": POOL | {"min_size": 5, "max_size": 5}}
    pooled = connection.settings_dict | {
        "HOST": "127.0.0.1", "PORT": str(link.port), "OPTIONS": options, "CONN_MAX_AGE": 0,
    }  # fmt: skip
    far = DatabaseWrapper(pooled, alias="pooled")
    far.ensure_connection()
    far.close()
    far.pool.wait(10)
    link.cut()
    began = time.monotonic()

    try:
        for _ in range(10):
            with far.cursor() as cursor:
                cursor.execute("SELECT 1")
            far.close()
    finally:
        far.close_pool()

    assert time.monotonic() - began < 1


def test_only_a_connection_that_was_silent_or_has_ended_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = TimeLimitedConnection.connect(**connection.get_connection_params(), autocommit=True)
    session.execute("SELECT 1")
    asked = record_calls(monkeypatch, session)

    ConnectionPool.check_connection(session)
    assert asked == []

    monkeypatch.setattr(session, "_responded_at", time.monotonic() - 2 * FRESH_SECONDS)
    ConnectionPool.check_connection(session)
    assert len(asked) == 1

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [session.info.backend_pid])
    with pytest.raises(psycopg.OperationalError):
        ConnectionPool.check_connection(session)


def test_a_connection_that_the_server_ended_is_not_usable_however_fresh(
    far: DatabaseWrapper,
) -> None:
    far.ensure_connection()
    pid = far.connection.info.backend_pid
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    far.close_if_unusable_or_obsolete()
    with far.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        ((anew,),) = cursor.fetchall()

    assert anew != pid


def record_calls(monkeypatch: pytest.MonkeyPatch, session: TimeLimitedConnection) -> list[Any]:
    """Return a list that fills with the statements sent to the server from now on."""
    asked: list[Any] = []
    wait = session.wait

    def recorded(generator: Any, **options: Any) -> Any:
        asked.append(generator)
        return wait(generator, **options)

    monkeypatch.setattr(session, "wait", recorded)
    return asked


def test_the_listener_notices_that_nobody_speaks(
    far: DatabaseWrapper, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "connection", far)
    heard = Listener("shouts")
    heard.wait(0)
    with psycopg.connect(settings.DATABASE_URL, autocommit=True, dbname=name()) as here:
        here.execute("NOTIFY shouts")
        assert heard.wait(5)
    link.blackhole()

    assert not heard.wait(0.1)

    monkeypatch.setattr(heard, "_next_check", 0.0)
    began = time.monotonic()
    with pytest.raises(OperationalError):
        heard.wait(0.1)
    assert time.monotonic() - began < 2
    link.pass_on()
    assert heard.wait(0.1), "it connected anew, and must look at once"
    heard.close()


def name() -> str:
    return str(connection.settings_dict["NAME"])
