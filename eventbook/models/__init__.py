"""The tables of the event system."""

from eventbook.models.aggregates import Aggregate, NumberedEvent, Snapshot
from eventbook.models.bridges import BridgeEntry, ParkedMessage, ReceivedEvent
from eventbook.models.deliveries import Attempt, Burst, Delivery, Lease
from eventbook.models.events import Event, OutboxEntry, Priority, Subscription
from eventbook.models.limits import Permit, RateGroup
from eventbook.models.operating import (
    Audit,
    Measure,
    Operation,
    Process,
    QueueControl,
    ScheduleControl,
    StreamReset,
)

__all__ = [
    "Aggregate",
    "Attempt",
    "Audit",
    "BridgeEntry",
    "Burst",
    "Delivery",
    "Event",
    "Lease",
    "Measure",
    "NumberedEvent",
    "Operation",
    "OutboxEntry",
    "ParkedMessage",
    "Permit",
    "Priority",
    "Process",
    "QueueControl",
    "RateGroup",
    "ReceivedEvent",
    "ScheduleControl",
    "Snapshot",
    "StreamReset",
    "Subscription",
]
