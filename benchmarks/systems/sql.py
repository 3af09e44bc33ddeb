from __future__ import annotations

from benchmarks.statements import FAN_OUT, NOTIFY, OF_ALL
from benchmarks.systems.base import System
from benchmarks.work import Cards


class SQL(System):
    """The upper limit: one SQL statement writes all rows of each table, without any queue."""

    name = "SQL"

    def launch(self) -> None:
        """Do nothing: there are no processes."""

    def enqueue(self, cards: Cards) -> None:
        """Write the rows of all cards at once."""
        self.session.execute(f"{NOTIFY} {OF_ALL}")
        self.session.execute(f"{FAN_OUT} {OF_ALL}")

    def is_done(self) -> bool:
        """Return True: `enqueue` does all the work."""
        return True
