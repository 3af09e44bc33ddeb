"""Empty the tables of the test database."""

from __future__ import annotations

from django.db import connection, transaction

# What migrations write into these tables stays the same, and Django's flush would write it again.
KEPT = {"django_content_type", "auth_permission"}
LARGE_BYTES = 512 * 1024  # a table of this size is emptied sooner by TRUNCATE


def tables() -> list[str]:
    """Return the quoted names of all tables but KEPT."""
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return [connection.ops.quote_name(name) for name in names if name not in KEPT]


def truncate() -> None:
    """Empty the tables, and leave no deleted rows in their files and indexes."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables())}")


def empty() -> None:
    """Empty the tables that have rows.

    TRUNCATE creates new files for all tables and their indexes, and every session then plans its
    statements again; to delete a few rows is far cheaper. Like TRUNCATE, this waits for all
    transactions that use a table.
    """
    names = tables()
    sizes = ", ".join(f"pg_relation_size('{name}')" for name in names)
    rows = ", ".join(f"EXISTS (SELECT FROM {name})" for name in names)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {', '.join(names)}")
        cursor.execute(f"SELECT greatest({sizes}), ARRAY[{rows}]")
        ((largest, filled),) = cursor.fetchall()
        if largest > LARGE_BYTES:
            truncate()
            return
        # Without triggers, those of foreign keys too: all referencing rows are deleted.
        cursor.execute("SET LOCAL session_replication_role = replica")
        for name, has_rows in zip(names, filled, strict=True):
            if has_rows:
                cursor.execute(f"DELETE FROM {name}")
