"""What operators see and do: figures, actions, diagnosis, the auditor, the admin and commands.

The names load on first use, because Django imports this app before models can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventbook.lazy import loading

if TYPE_CHECKING:
    from eventbook.brokers.broker import BrokerDown
    from eventbook.declare.handlers import all_handlers
    from eventbook.declare.queues import all_policies
    from eventbook.models import Delivery
    from eventbook.operate.actions.dead_letters import replay_dead_letters
    from eventbook.operate.admin.records import ReadOnlyAdmin
    from eventbook.operate.audit import audit_rule
    from eventbook.operate.metrics.snapshot import MetricsUnavailable, exposition
    from eventbook.operate.queries.backlogs import backlogs
    from eventbook.operate.queries.queues import QueueStatus, queue_status
    from eventbook.operate.queries.servers import missing_migrations
    from eventbook.operate.queries.system import outbox_length
    from eventbook.operate.selections import DeadLetters

__all__ = [
    "BrokerDown",
    "DeadLetters",
    "Delivery",
    "MetricsUnavailable",
    "QueueStatus",
    "ReadOnlyAdmin",
    "all_handlers",
    "all_policies",
    "audit_rule",
    "backlogs",
    "exposition",
    "missing_migrations",
    "outbox_length",
    "queue_status",
    "replay_dead_letters",
]

__getattr__ = loading(
    "eventbook",
    {
        "declare.queues": ["all_policies"],
        "declare.handlers": ["all_handlers"],
        "operate.actions.dead_letters": ["replay_dead_letters"],
        "operate.admin.records": ["ReadOnlyAdmin"],
        "operate.audit": ["audit_rule"],
        "operate.metrics.snapshot": ["MetricsUnavailable", "exposition"],
        "brokers.broker": ["BrokerDown"],
        "models": ["Delivery"],
        "operate.selections": ["DeadLetters"],
        "operate.queries.backlogs": ["backlogs"],
        "operate.queries.queues": ["QueueStatus", "queue_status"],
        "operate.queries.servers": ["missing_migrations"],
        "operate.queries.system": ["outbox_length"],
    },
)
