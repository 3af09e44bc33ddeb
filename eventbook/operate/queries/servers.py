"""The state of PostgreSQL: its speed, version, settings and migrations."""

from __future__ import annotations

import time
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.migrations.executor import MigrationExecutor

from eventbook.operate.queries.values import rows, scalar

# The settings that must be on, or a crash of the server can lose committed transactions.
DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
CONNECTIONS = """
    SELECT (SELECT sum(numbackends) FROM pg_stat_database),
           current_setting('max_connections')::int
"""


def round_trip_seconds(*, tries: int = 3) -> float:
    """Return how long PostgreSQL takes for an empty query: the shortest time of all tries."""
    seconds = []
    with connection.cursor() as cursor:
        for _ in range(tries):
            began = time.monotonic()
            cursor.execute("SELECT 1")
            seconds.append(time.monotonic() - began)
    return min(seconds)


def server_version() -> str:
    """Return PostgreSQL's version."""
    return str(scalar("SELECT current_setting('server_version')"))


def not_durable() -> list[str]:
    """Return which settings are off that protect committed transactions (DURABLE)."""
    statement = (
        "SELECT name FROM pg_settings WHERE setting = 'off' AND name = ANY(%s) ORDER BY name"
    )
    return [name for (name,) in rows(statement, [list(DURABLE)])]


def connections_used_and_allowed() -> tuple[int, int]:
    """Return how many connections PostgreSQL has, and how many it allows."""
    ((used, allowed),) = rows(CONNECTIONS)
    return int(used), int(allowed)


def settings_that_differ() -> list[str]:
    """Return the settings of the session or database that differ from what statements need."""
    backend: Any = connections[DEFAULT_DB_ALIAS]
    differ: list[str] = backend.settings_that_differ()  # eventbook/database
    return differ


def missing_migrations() -> list[str]:
    """Return the migrations of this release that are not applied to the database."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [str(migration) for migration, _ in plan]
