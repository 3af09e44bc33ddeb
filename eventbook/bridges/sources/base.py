from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eventbook.bridges.reading import Arrival


class Source(Protocol):
    """A connection that events come in from, opened on first use and again after TargetDown."""

    def fetch(self, limit: int, seconds: float) -> Sequence[Arrival]:
        """Return messages that are not acknowledged yet: at most `limit`, none after `seconds`.

        Raise TargetDown if the system does not respond.
        """

    def acknowledge(self, arrivals: Sequence[Arrival]) -> None:
        """Say that these messages need not come again; raise TargetDown."""

    def close(self) -> None:
        """Close the connection."""
