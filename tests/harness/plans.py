"""Count the index and table entries that statements read, with PostgreSQL's statistics."""

from __future__ import annotations

from django.db import connection

READ = """
    SELECT pg_stat_get_xact_tuples_returned(relation)
         + sum(pg_stat_get_xact_tuples_returned(indexrelid))::bigint
    FROM (SELECT %s::regclass AS relation) AS asked JOIN pg_index ON indrelid = relation
    GROUP BY relation
"""


def entries_read(table: str) -> int:
    """Return how many entries of a table and its indexes this session has read so far.

    PostgreSQL resets the count between transactions, so only compare counts within one.
    """
    with connection.cursor() as cursor:
        cursor.execute(READ, [table])
        return int(cursor.fetchone()[0])
