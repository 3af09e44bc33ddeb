"""What a stream can tell of; the apps that own it register how to find and how to show it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from events.sql import execute

# Of one source, what is looked at of one person: the newest. More at once is a reset.
MOST = 50

# Whose changes are wanted, since which transaction, and from which key on.
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

    `changed` is SQL that selects (person_id, key, xmin) of rows written since, from the relation
    `since (person_id, horizon, first)`: at most %(most)s a person, the newest ones. A row counts if
    `age(xmin) BETWEEN 0 AND age(since.horizon)`. Its keys are UUIDv7, and those before `first` may
    be left out. What is found by a time can go back %(seconds)s, or to the key %(earliest)s.
    `shown` answers what each (person, key) is told, and leaves out what a person may not see, or no
    longer. `resets` is SQL that selects (person_id, xmin) of what is not told row by row.
    """

    name: str
    changed: str
    shown: Callable[[Collection[Pair]], Mapping[Pair, Any]]
    resets: str = ""


sources: dict[str, Source] = {}


def register(source: Source) -> None:
    """Make a source known; raise ValueError when its name is taken."""
    if source.name in sources:
        raise ValueError(f"There is a source {source.name!r} already.")
    sources[source.name] = source


@dataclass(frozen=True, slots=True)
class Since:
    """From where on a look finds what is new: for each person the transaction, and the key."""

    people: list[int]
    horizons: list[int]
    firsts: list[UUID]
    seconds: float
    earliest: UUID

    def full(self, xid: str) -> int:
        """Return a transaction's number with the bits that its 32 have lost."""
        base = min(self.horizons)
        return base + ((int(xid) - base) & 0xFFFFFFFF)

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters of a source's statement."""
        return {
            "people": self.people,
            # An xid has 32 bits, and wraps; `age` knows.
            "horizons": [str(horizon & 0xFFFFFFFF) for horizon in self.horizons],
            "firsts": self.firsts,
            "seconds": self.seconds,
            "earliest": self.earliest,
            "most": MOST,
        }


def changes(source: Source, since: Since) -> list[tuple[int, UUID, int]]:
    """Return (person, key, transaction) of what was written since, the oldest key first."""
    rows = execute(SINCE + source.changed, since.parameters).rows
    found = [(person, key, since.full(xid)) for person, key, xid in rows]
    return sorted(found, key=lambda change: change[1])
