"""The functions of plain Celery's producer process (benchmarks/producer.py)."""

from __future__ import annotations

from uuid import UUID

from django.utils import timezone

from benchmarks.plain.app import app
from benchmarks.plain.tasks import fan_out, notify
from cards.models import Card

app.set_current()


def enqueue(id: UUID, _: int) -> None:
    """Send a card's two tasks."""
    notify.delay(str(id))
    fan_out.delay(str(id))


def write(id: UUID, curator: int) -> None:
    """Insert a card, and send its tasks."""
    now = timezone.now()
    Card.objects.create(
        id=id, curator_id=curator, type="NOTE", text="a note", created_at=now, updated_at=now
    )
    enqueue(id, curator)
