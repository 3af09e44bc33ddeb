"""An event system for Django and Celery that loses no event: docs/architecture.md draws its parts.

This package exports what an application needs. Operators' tools and other special uses are in
`eventbook.celery`, `.database`, `.observe`, `.operate`, `.stream` and `.testing`; all other modules
are private. The names load on first use, because Django imports this package before models can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventbook.lazy import loading

if TYPE_CHECKING:
    from eventbook.beat.schedule import scheduled
    from eventbook.declare.bridges import Bridge, Received, integration_event, receives, translates
    from eventbook.declare.bursts import Debounce, Throttle
    from eventbook.declare.events import KeyRange, Recorded, event_type
    from eventbook.declare.handlers import handler
    from eventbook.declare.queues import QueuePolicy, policy_of
    from eventbook.declare.retries import NEVER, Permanent, Retry, exponential, fixed, jittered
    from eventbook.declare.statement import Statement, insert_batch
    from eventbook.deliveries.limits import RateLimit
    from eventbook.record.admission import BacklogFull, admit_bulk_work
    from eventbook.record.numbering import VersionConflict
    from eventbook.record.outbox import Priority, recording
    from eventbook.record.signals import DomainSignal
    from eventbook.store import aggregates, history
    from eventbook.work.execution import Later

__all__ = [
    "NEVER",
    "BacklogFull",
    "Bridge",
    "Debounce",
    "DomainSignal",
    "KeyRange",
    "Later",
    "Permanent",
    "Priority",
    "QueuePolicy",
    "RateLimit",
    "Received",
    "Recorded",
    "Retry",
    "Statement",
    "Throttle",
    "VersionConflict",
    "admit_bulk_work",
    "aggregates",
    "event_type",
    "exponential",
    "fixed",
    "handler",
    "history",
    "insert_batch",
    "integration_event",
    "jittered",
    "policy_of",
    "receives",
    "recording",
    "scheduled",
    "translates",
]

__getattr__ = loading(
    __name__,
    {
        "beat.schedule": ["scheduled"],
        "declare.bridges": [
            "Bridge",
            "Received",
            "integration_event",
            "receives",
            "translates",
        ],
        "declare.bursts": ["Debounce", "Throttle"],
        "declare.events": ["KeyRange", "Recorded", "event_type"],
        "declare.handlers": ["handler"],
        "declare.queues": ["QueuePolicy", "policy_of"],
        "declare.retries": ["NEVER", "Permanent", "Retry", "exponential", "fixed", "jittered"],
        "declare.statement": ["Statement", "insert_batch"],
        "deliveries.limits": ["RateLimit"],
        "record.admission": ["BacklogFull", "admit_bulk_work"],
        "record.numbering": ["VersionConflict"],
        "record.outbox": ["Priority", "recording"],
        "record.signals": ["DomainSignal"],
        "store": ["aggregates", "history"],
        "work.execution": ["Later"],
    },
)
