"""What statements read, by PostgreSQL's own count."""

from __future__ import annotations

from django.db import connection

READ = """
    SELECT pg_stat_get_xact_tuples_returned(relation)
         + sum(pg_stat_get_xact_tuples_returned(indexrelid))::bigint
    FROM (SELECT %s::regclass AS relation) AS asked JOIN pg_index ON indrelid = relation
    GROUP BY relation
"""


def entries_read(table: str) -> int:
    """This answers how many entries of a table and its indexes this session has read so far.

    It begins anew now and then, but not within a transaction: the difference in one is what counts.
    """
    with connection.cursor() as cursor:
        cursor.execute(READ, [table])
        return int(cursor.fetchone()[0])
