"""Durations, sizes and rates of the HTTP benchmark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """The size of the database around the reader."""

    cards: int
    people: int
    followed: int
    notifications: int


@dataclass(frozen=True)
class Lengths:
    """The seconds of each measurement, and the size of the reader's library."""

    warm: float  # the warm-up before a measurement
    busy: float  # as fast as possible
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

# Enough connections to keep every process of each system busy.
WRITING_CONNECTIONS = 16
BULK_CONNECTIONS = 4
CARDS_PER_REQUEST = 1_000
READING_CONNECTIONS = 4
# Requests per second at a fixed rate.
READING_RATE = 50
OUTAGE_RATE = 100
