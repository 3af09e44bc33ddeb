"""How long, and how large, everything is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How much a reader finds."""

    cards: int
    people: int
    followed: int
    notifications: int


@dataclass(frozen=True)
class Lengths:
    """The seconds of each measurement, and the reader's library."""

    warm: float  # before a measurement, uncounted
    busy: float  # as fast as it goes
    light: float  # at a fixed rate
    outage: float
    library: Size


FULL = Lengths(
    warm=1.5, busy=5, light=6, outage=8,
    library=Size(cards=1_000_000, people=20_000, followed=10_000, notifications=20_000),
)  # fmt: skip
SHORT = Lengths(
    warm=0.5, busy=1, light=1, outage=2,
    library=Size(cards=20_000, people=1_000, followed=500, notifications=2_000),
)  # fmt: skip

# Of the API's write; enough to keep every process of each system busy.
WRITING_CONNECTIONS = 16
BULK_CONNECTIONS = 4
CARDS_PER_REQUEST = 1_000
READING_CONNECTIONS = 4
# Of requests a second at a fixed rate.
READING_RATE = 50
OUTAGE_RATE = 100
