"""Send probes, and read the states of their deliveries."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from django.db import transaction

from eventbook.models import Delivery, Event
from eventbook.record.outbox import Priority, recording
from tests.probe.signals import ProbeSent, ProbeSpread, probe_sent, probe_spread


def send(*keys: str, behaviour: str = "ok", priority: Priority = Priority.INTERACTIVE) -> None:
    """Send a probe for each key, in one transaction."""
    with transaction.atomic(), recording(priority=priority):
        for key in keys:
            probe_sent.send(sender=None, event=ProbeSent(key=key, behaviour=behaviour))


def send_large(key: str, size: int) -> UUID:
    """Send a probe whose handler writes `size` effects; return the event's id."""
    with transaction.atomic(), recording():
        probe_spread.send(sender=None, event=ProbeSpread(key=key, size=size))
    return Event.objects.get(type="probe.spread", subject=f"probes/{key}").pk


def states(handler: str = "probe.write") -> Counter[str]:
    """Return the number of a handler's deliveries by state."""
    return Counter(Delivery.objects.filter(handler=handler).values_list("state", flat=True))


def states_in(queue: str) -> Counter[str]:
    """Return the number of a queue's deliveries by state."""
    return Counter(Delivery.objects.filter(queue=queue).values_list("state", flat=True))
