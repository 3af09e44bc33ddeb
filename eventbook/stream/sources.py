"""The sources of live streams: each app registers how to find its new rows and how to show them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from eventbook.database.statements import execute
from eventbook.stream.cursors import mark_of

# The newest rows of one source that a poll reads for one person. More at once become a reset.
MAX_ROWS = 50

# The people to poll for, each with a transaction and a key to start from.
SINCE = """
    WITH since AS (
        SELECT * FROM unnest(%(people)s::bigint[], %(horizons)s::text[]::xid[], %(firsts)s::uuid[])
             AS since (person_id, horizon, first)
    )
"""

Pair = tuple[int, UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A kind of event on the stream.

    `changes_sql` selects (person_id, key, xmin) of new rows: at most the %(max_rows)s newest of
    each person in the relation `since (person_id, horizon, first)`. A row is new if
    `age(xmin) BETWEEN 0 AND age(since.horizon)`. Keys are UUIDv7; rows with a key before `first`
    may be left out. A query by time need not reach back further than %(seconds)s seconds, one by
    key not further than %(earliest)s.

    `load_data` maps (person, key) pairs to the data to send, without pairs that the person may not
    see. `resets_sql` selects (person_id, xmin) of changes to report as a reset.
    """

    name: str
    changes_sql: str
    load_data: Callable[[Collection[Pair]], Mapping[Pair, Any]]
    resets_sql: str = ""


sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Register a source; raise ValueError if its name is taken."""
    if source.name in sources:
        raise ValueError(f"A source named {source.name!r} is already registered.")
    sources[source.name] = source


@dataclass(frozen=True, slots=True)
class Since:
    """How far back a poll reads: to a transaction and a key for each person, and a time for all.

    `next_xid` is the id of the next transaction when the poll began.
    """

    next_xid: int
    people: list[int]
    horizons: list[int]
    firsts: list[UUID]
    seconds: float
    earliest: UUID

    def full_xid(self, xmin: str) -> int:
        """Return the 64-bit transaction id of an xmin, which has only its lower 32 bits.

        As in PostgreSQL, ids up to 2^31 behind or ahead of the present one can be told apart.
        """
        # Not from the horizons: clients send them in their cursors, and can forge them.
        last = self.next_xid + (1 << 31)
        return last - ((last - int(xmin)) & 0xFFFFFFFF)

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a source's statement."""
        return {
            "people": self.people,
            # An xid has 32 bits and wraps around; SQL's `age` compares them correctly.
            "horizons": [str(horizon & 0xFFFFFFFF) for horizon in self.horizons],
            "firsts": self.firsts,
            "seconds": self.seconds,
            "earliest": self.earliest,
            "max_rows": MAX_ROWS,
        }


class Change(NamedTuple):
    """A version of a person's row that was found by a poll."""

    person_id: int
    key: UUID
    xid: int  # the transaction that wrote it
    mark: str


def changes(source: Source, since: Since) -> list[Change]:
    """Return a source's changes as far back as the poll reads, the oldest key first."""
    rows = execute(SINCE + source.changes_sql, since.parameters).rows
    found = []
    for person_id, key, xmin in rows:
        xid = since.full_xid(xmin)
        found.append(Change(person_id, key, xid, mark_of(source.name, key, xid)))
    return sorted(found, key=lambda change: change.key)
