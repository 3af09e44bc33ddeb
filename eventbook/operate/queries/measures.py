"""Reads for a scrape of the metrics: few statements, each of a bounded cost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.db import connection

from eventbook.operate.queries.values import value

# A live process writes its row every 5 seconds.
ALIVE = "seen_at > now() - interval '15 seconds'"
# The process that uses the largest share of its memory limit comes first.
FULLEST = "ORDER BY memory_bytes::float / nullif(memory_limit_bytes, 0) DESC NULLS LAST"
GROUPS = f"""
    SELECT CASE WHEN "group" = ANY(%s) THEN "group" ELSE %s END, count(*),
           (array_agg(memory_bytes {FULLEST}))[1], (array_agg(memory_limit_bytes {FULLEST}))[1],
           max(abs(clock_ahead_seconds))
    FROM eventbook_process WHERE {ALIVE} GROUP BY 1 ORDER BY 1
"""  # noqa: S608 - put together from constants
CONSUMERS = f"""
    SELECT known.name, (SELECT count(*) FROM eventbook_process
                        WHERE known.name = ANY(queues) AND {ALIVE})
    FROM unnest(%s::text[]) AS known (name)
"""  # noqa: S608
STREAMS = f"SELECT coalesce(sum(streams), 0) FROM eventbook_process WHERE {ALIVE}"  # noqa: S608
CONNECTIONS = """
    SELECT (SELECT sum(numbackends) FROM pg_stat_database),
           current_setting('max_connections')::int
"""

Measures = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class Group:
    """The live processes of one group: their number, and the worst figures among them."""

    name: str
    processes: int
    memory_bytes: int
    memory_limit_bytes: int  # 0 if unknown
    clock_ahead_seconds: float


def measures() -> Measures:
    """Return all counters and histograms: values by metric, then stored labels, then bound."""
    found: Measures = defaultdict(lambda: defaultdict(dict))
    with connection.cursor() as cursor:
        cursor.execute("SELECT metric, labels, bound, value FROM eventbook_measure")
        for metric, labels, bound, value in cursor.fetchall():
            found[metric][labels][bound] = value
    return found


def groups(known: list[str], *, other: str) -> list[Group]:
    """Return the groups that have live processes; unknown groups are merged under `other`."""
    with connection.cursor() as cursor:
        cursor.execute(GROUPS, [known, other])
        return [Group(*row) for row in cursor.fetchall()]


def consumers(queues: list[str]) -> dict[str, int]:
    """Return how many live processes consume each queue."""
    with connection.cursor() as cursor:
        cursor.execute(CONSUMERS, [queues])
        return dict(cursor.fetchall())


def connections() -> tuple[int, int]:
    """Return how many connections PostgreSQL has, and how many it allows."""
    with connection.cursor() as cursor:
        cursor.execute(CONNECTIONS)
        used, most = cursor.fetchone()
    return int(used), int(most)


def streams() -> int:
    """Return how many live streams are open."""
    return int(value(STREAMS))
