"""What PostgreSQL says of itself."""

from __future__ import annotations

import time
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.executor import MigrationExecutor

from events.queries.values import value

# What keeps a committed transaction through a crash of the server.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


def round_trip_seconds(*, of: int = 3) -> float:
    """Return how long PostgreSQL takes to answer a question: the shortest `of` so many."""
    seconds = []
    with connection.cursor() as cursor:
        for _ in range(of):
            began = time.monotonic()
            cursor.execute("SELECT 1")
            seconds.append(time.monotonic() - began)
    return min(seconds)


def server_version() -> str:
    """Return PostgreSQL's version."""
    return str(value("SELECT current_setting('server_version')"))


def not_durable() -> list[str]:
    """Return the settings of PostgreSQL by which it may lose what was committed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE setting = 'off' AND name = ANY(%s) ORDER BY name",
            [list(DURABLE)],
        )
        return [name for (name,) in cursor.fetchall()]


def settings_that_differ() -> list[str]:
    """Return the settings of a session, or its database, that are not what our statements need."""
    backend: Any = connections[DEFAULT_DB_ALIAS]
    differ: list[str] = backend.settings_that_differ()  # config/postgres
    return differ


def missing_migrations() -> list[str]:
    """Return the migrations of this release that the database doesn't have."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [str(migration) for migration, _ in plan]
