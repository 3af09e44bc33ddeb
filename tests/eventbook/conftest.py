from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from eventbook.declare.handlers import handlers
from eventbook.declare.queues import policy_of
from eventbook.models import Delivery, Lease, Priority
from eventbook.relay.expansion import columns_of, expand
from eventbook.relay.floors import Floor
from tests.eventbook.test_delivery import send

QUEUE = "notifications"
HANDLERS = {"notifications": "probe.write", "feeds": "probe.call"}


@pytest.fixture
def six() -> list[int]:
    """Six deliveries that wait in each of two queues; nobody runs them."""
    send(*"abcd")
    send("e", "f", priority=Priority.BULK)
    lanes = [
        (handlers[name], lane, policy_of(queue), False)
        for queue, name in HANDLERS.items()
        for lane in Priority
    ]
    expand(columns_of(lanes), Floor(), limit=100, bulk_limit=100)
    mine = Delivery.objects.filter(queue=QUEUE).order_by("id")
    return list(mine.values_list("id", flat=True))


@pytest.fixture
def in_hand(six: list[int]) -> Iterator[list[int]]:
    """Three of them in workers' hands: begun, leased, and locked by a transaction."""
    begun, leased, locked = six[:3]
    Delivery.objects.filter(id=begun).update(state="running")
    soon = timezone.now() + timedelta(minutes=1)
    Lease.objects.create(
        handler="probe.write", queue=QUEUE, worker="w", deliveries=[leased], expires_at=soon
    )
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
        other.execute("SELECT FROM eventbook_delivery WHERE id = %s FOR UPDATE", [locked])
        yield six[:3]
        other.rollback()
