"""Send probes, and read the states of their deliveries."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from eventbook.models import Delivery, Event
from eventbook.record.outbox import Priority, recording
from tests.probe.models import Effect
from tests.probe.signals import (
    ProbeRepeated,
    ProbeSent,
    ProbeSpread,
    probe_repeated,
    probe_sent,
    probe_spread,
)


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


@transaction.atomic
def send_at(key: str, run_at: datetime) -> None:
    """Send a probe that waits for a time; its key is the event's key, too."""
    probe_sent.send(sender=None, event=ProbeSent(key=key), key=key, run_at=run_at)


def soon(seconds: float) -> datetime:
    """Return the time in so many seconds; negative ones are past."""
    return timezone.now() + timedelta(seconds=seconds)


def send_repeated(group: str, *keys: str, behaviour: str = "ok") -> None:
    """Send repeated probes of a group, in one transaction."""
    with transaction.atomic(), recording():
        for key in keys:
            event = ProbeRepeated(group=group, key=key, behaviour=behaviour)
            probe_repeated.send(sender=None, event=event)


def effects(handler: str = "probe.write") -> list[str]:
    """Return the keys of the events that a handler got, in order."""
    found = Effect.objects.filter(handler=handler).order_by("id")
    return list(found.values_list("key", flat=True))


def states(handler: str = "probe.write") -> Counter[str]:
    """Return the number of a handler's deliveries by state."""
    return Counter(Delivery.objects.filter(handler=handler).values_list("state", flat=True))


def states_in(queue: str) -> Counter[str]:
    """Return the number of a queue's deliveries by state."""
    return Counter(Delivery.objects.filter(queue=queue).values_list("state", flat=True))
