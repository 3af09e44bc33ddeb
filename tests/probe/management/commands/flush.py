"""`flush` for tests, which Django calls after each test that commits: 100 ms become 5."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush
from django.db import connection, transaction

# What migrations write into these tables stays the same, and Django's flush would write it again.
KEPT = {"django_content_type", "auth_permission"}
# Deleted rows stay in a table's file until a vacuum. A table larger than this is truncated.
LARGE_BYTES = 512 * 1024


class Command(flush.Command):
    """Empty the tables that have rows.

    PostgreSQL's TRUNCATE creates new files for a table and all its indexes, and every session then
    plans its statements again; to delete a few rows is far cheaper. Like TRUNCATE, this waits for
    all transactions that use a table.
    """

    def handle(self, **options: Any) -> None:
        """Empty all tables but KEPT, at once."""
        every = connection.introspection.django_table_names(only_existing=True, include_views=False)
        tables = [connection.ops.quote_name(name) for name in every if name not in KEPT]
        rows = ", ".join(f"EXISTS (SELECT FROM {table})" for table in tables)
        sizes = ", ".join(f"pg_relation_size('{table}')" for table in tables)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {', '.join(tables)}")
            cursor.execute(f"SELECT greatest({sizes}), ARRAY[{rows}]")
            ((largest, filled),) = cursor.fetchall()
            if largest > LARGE_BYTES:
                cursor.execute(f"TRUNCATE {', '.join(tables)}")
                return
            # Without triggers, those of foreign keys too: all referencing rows are deleted.
            cursor.execute("SET LOCAL session_replication_role = replica")
            for table, has_rows in zip(tables, filled, strict=True):
                if has_rows:
                    cursor.execute(f"DELETE FROM {table}")
