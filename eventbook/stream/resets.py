"""Resets: for a change that no new row shows, a stream makes its client read a page again.

Few changes need one; each writes one row per person. Streams find it by the transaction that wrote
it, like the rows of sources.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple
from uuid import UUID

from eventbook.database.statements import execute
from eventbook.stream.cursors import mark_of
from eventbook.stream.sources import SINCE, Since, sources

# Sorted by key, so that two concurrent resets can't deadlock.
RESET = """
    INSERT INTO eventbook_streamreset (person_id, source, at)
    SELECT DISTINCT person, %s, now() FROM unnest(%s::bigint[]) AS person ORDER BY person
    ON CONFLICT (person_id, source) DO UPDATE SET at = excluded.at
"""
WRITTEN = """
    SELECT since.person_id, reset.source, reset.written
    FROM (
        SELECT person_id, source, xmin AS written FROM eventbook_streamreset
        WHERE at > now() - %(seconds)s * interval '1 second'
        OFFSET 0
    ) reset
    JOIN since ON since.person_id = reset.person_id
    WHERE age(reset.written) BETWEEN 0 AND age(since.horizon)
"""


def reset(source: str, people: Iterable[int]) -> None:
    """Make the clients of people's streams read a source's pages again.

    Call it in the transaction of the change, as its last write.
    """
    execute(RESET, [source, list(people)])


class Reset(NamedTuple):
    """A change for which a person's clients must read a source's pages again."""

    person_id: int
    source: str
    xid: int  # the transaction of the change
    mark: str


def resets(since: Since) -> list[Reset]:
    """Return the resets as far back as the poll reads."""
    found: list[Any] = list(execute(SINCE + WRITTEN, since.parameters).rows)
    for source in sources.values():
        if source.resets_sql:
            rows = execute(SINCE + source.resets_sql, since.parameters).rows
            found += [(person_id, source.name, xmin) for person_id, xmin in rows]
    result = []
    for person_id, name, xmin in found:
        xid = since.full_xid(xmin)
        mark = mark_of(f"{name} reset", UUID(int=person_id), xid)
        result.append(Reset(person_id, name, xid, mark))
    return result
