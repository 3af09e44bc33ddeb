"""Take single steps of delivery in this process, lose messages, and read recorded events."""

from __future__ import annotations

import json
from typing import Any

from celery import current_app
from kombu.entity import Queue

from eventbook.declare.events import Recorded, decode, type_of_class
from eventbook.declare.handlers import all_handlers, handlers
from eventbook.models import Delivery, Event
from eventbook.relay.expansion import array_parameters, expand
from eventbook.relay.scan_start import ScanStart


def expand_only(*names: str) -> None:
    """Create the deliveries of these handlers, or of all, without messages to the workers."""
    chosen = [handlers[name] for name in names] or all_handlers()
    expand(array_parameters((), chosen), ScanStart(), limit=1000, bulk_limit=1000)


def expanded(name: str) -> list[int]:
    """Create the deliveries of a handler without messages, and return their ids."""
    expand_only(name)
    return list(Delivery.objects.filter(handler=name).order_by("id").values_list("id", flat=True))


def purge(queue: str) -> int:
    """Delete all messages of a queue from the broker, and return their number."""
    with current_app.connection_for_write() as connection:
        return int(Queue(queue)(connection.default_channel).purge())


def recorded(event_class: type[Any]) -> list[Recorded[Any]]:
    """Return all recorded events of one class, in the form that handlers get, oldest first."""
    return [
        Recorded(
            event.id,
            event.recorded_at,
            event.priority,
            decode(event.type, event.version, json.dumps(event.data)),
        )
        for event in Event.objects.filter(type=type_of_class[event_class].name).order_by("id")
    ]
