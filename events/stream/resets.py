"""Changes that no row tells: the streams of those whom they concern say which page to read again.

Few acts need it, and each writes one row for a person. A row is found by the transaction that
wrote it, as the rows of sources are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from events.sql import execute
from events.stream.cursors import mark_of
from events.stream.sources import SINCE, Since, sources

# In the order of the key, so that two that meet don't deadlock.
RESET = """
    INSERT INTO events_streamreset (person_id, source, at)
    SELECT DISTINCT person, %s, now() FROM unnest(%s::bigint[]) AS person ORDER BY person
    ON CONFLICT (person_id, source) DO UPDATE SET at = excluded.at
"""
WRITTEN = """
    SELECT since.person_id, reset.source, reset.written
    FROM (
        SELECT person_id, source, xmin AS written FROM events_streamreset
        WHERE at > now() - %(seconds)s * interval '1 second'
        OFFSET 0
    ) reset
    JOIN since ON since.person_id = reset.person_id
    WHERE age(reset.written) BETWEEN 0 AND age(since.horizon)
"""


def reset(source: str, people: Iterable[int]) -> None:
    """Let people's streams tell that the pages of a source must be read again.

    Call it in the transaction of the change, as its last write.
    """
    execute(RESET, [source, list(people)])


def resets(since: Since) -> list[tuple[int, str, int, str]]:
    """Return (person, source, transaction, mark) of each reset that was written since."""
    found: list[Any] = list(execute(SINCE + WRITTEN, since.parameters).rows)
    for source in sources.values():
        if source.resets:
            rows = execute(SINCE + source.resets, since.parameters).rows
            found += [(person, source.name, xid) for person, xid in rows]
    return [
        (
            person,
            name,
            (xid := since.full(written)),
            mark_of(f"{name} reset", UUID(int=person), xid),
        )
        for person, name, written in found
    ]
