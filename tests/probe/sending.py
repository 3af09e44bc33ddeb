"""Send probes, and read the states of their deliveries."""

from __future__ import annotations

from collections import Counter

from django.db import transaction

from eventbook.models import Delivery
from eventbook.record.outbox import Priority, recording
from tests.probe.signals import ProbeSent, probe_sent


def send(*keys: str, behaviour: str = "ok", priority: Priority = Priority.INTERACTIVE) -> None:
    """Send a probe for each key, in one transaction."""
    with transaction.atomic(), recording(priority=priority):
        for key in keys:
            probe_sent.send(sender=None, event=ProbeSent(key=key, behaviour=behaviour))


def states(handler: str = "probe.write") -> Counter[str]:
    """Return the number of a handler's deliveries by state."""
    return Counter(Delivery.objects.filter(handler=handler).values_list("state", flat=True))
