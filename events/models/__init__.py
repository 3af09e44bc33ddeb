"""The tables of the event system."""

from events.models.deliveries import Attempt, Delivery, Lease
from events.models.events import Event, OutboxEntry, Priority, Subscription
from events.models.limits import Permit, RateGroup
from events.models.operating import (
    Audit,
    Measure,
    Operation,
    Process,
    QueueControl,
    StreamReset,
)

__all__ = [
    "Attempt",
    "Audit",
    "Delivery",
    "Event",
    "Lease",
    "Measure",
    "Operation",
    "OutboxEntry",
    "Permit",
    "Priority",
    "Process",
    "QueueControl",
    "RateGroup",
    "StreamReset",
    "Subscription",
]
