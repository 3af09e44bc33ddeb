"""The sources of live streams: each app registers how to find its new rows and how to show them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from eventbook.database.statements import execute

# The newest rows of one source that a poll reads for one person. More at once become a reset.
MOST = 50

# The people to poll for, each with a transaction and a key to start from.
SINCE = """
    WITH since AS (
        SELECT * FROM unnest(%(people)s::bigint[], %(horizons)s::text[]::xid[], %(firsts)s::uuid[])
             AS since (person_id, horizon, first)
    )
"""

Pair = tuple[int, UUID]


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of event on the stream.

    `changed` is SQL that selects (person_id, key, xmin) of new rows: at most the %(most)s newest of
    each person in the relation `since (person_id, horizon, first)`. A row is new if
    `age(xmin) BETWEEN 0 AND age(since.horizon)`. Keys are UUIDv7; rows with a key before `first`
    may be left out. A query by time need not reach back further than %(seconds)s seconds, one by
    key not further than %(earliest)s.

    `shown` maps (person, key) pairs to the data to send, without pairs that the person may not see.
    `resets` is SQL that selects (person_id, xmin) of changes to report as a reset.
    """

    name: str
    changed: str
    shown: Callable[[Collection[Pair]], Mapping[Pair, Any]]
    resets: str = ""


sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Register a source; raise ValueError if its name is taken."""
    if source.name in sources:
        raise ValueError(f"A source named {source.name!r} is already registered.")
    sources[source.name] = source


@dataclass(frozen=True, slots=True)
class Since:
    """Where a poll starts: for each person a transaction and a key, and a time for all."""

    people: list[int]
    horizons: list[int]
    firsts: list[UUID]
    seconds: float
    earliest: UUID

    def full(self, xid: str) -> int:
        """Return the 64-bit transaction id of an xid, which has only its lower 32 bits."""
        base = min(self.horizons)
        return base + ((int(xid) - base) & 0xFFFFFFFF)

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
            "most": MOST,
        }


def changes(source: Source, since: Since) -> list[tuple[int, UUID, int]]:
    """Return (person, key, transaction) of a source's new rows, the oldest key first."""
    rows = execute(SINCE + source.changed, since.parameters).rows
    found = [(person, key, since.full(xid)) for person, key, xid in rows]
    return sorted(found, key=lambda change: change[1])
