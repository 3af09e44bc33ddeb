"""Simulate the next release: a new version of the probe's event, and one more handler."""

from __future__ import annotations

from collections.abc import Sequence

from eventbook.declare.events import EventType, Recorded, type_of_class, type_of_name
from eventbook.declare.handlers import handler
from tests.probe.models import Effect
from tests.probe.signals import ProbeSent, probe_sent


@handler(probe_sent, queue="events", name="probe.late", formerly=["probe.early"])
def late(events: Sequence[Recorded[ProbeSent]]) -> None:
    Effect.objects.bulk_create(
        [Effect(key=e.event.key, handler="probe.late", event_id=e.id) for e in events]
    )


def know_version_two() -> None:
    """Make this process read and write version 2 of `probe.sent`."""
    before = type_of_name["probe.sent"]
    known = EventType(before.name, 2, before.dataclass, {1: lambda data: data})
    type_of_name[before.name] = type_of_class[before.dataclass] = known


know_version_two()
