"""The functions of Dramatiq's producer process (benchmarks/producer.py)."""

from __future__ import annotations

from uuid import UUID

from benchmarks.dramatiq.tasks import fan_out, notify, session
from benchmarks.statements import INSERT_CARD


def enqueue(id: UUID, _: int) -> None:
    """Send a card's two messages."""
    notify.send(str(id))
    fan_out.send(str(id))


def write(id: UUID, curator: int) -> None:
    """Insert a card, and send its messages."""
    session().execute(INSERT_CARD, [id, curator], prepare=True)
    enqueue(id, curator)
