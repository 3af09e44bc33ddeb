"""Reads of the event system's state: every page and command gets its figures here."""

from eventbook.operate.queries.audits import audit_age_seconds, audits
from eventbook.operate.queries.backlogs import Backlog, backlogs
from eventbook.operate.queries.deliveries import (
    Failing,
    Kind,
    PurgePreview,
    dead_by_handler,
    dead_by_queue,
    dead_letters,
    deliveries_of,
    failing,
    handlers_unknown_here,
    known_queue,
    open_count,
    purge_preview,
)
from eventbook.operate.queries.measures import connections
from eventbook.operate.queries.processes import ProcessStatus, State, present, processes, workers_of
from eventbook.operate.queries.queues import QueueStatus, queue_status
from eventbook.operate.queries.relay import outbox_length, relay_lag_seconds
from eventbook.operate.queries.servers import (
    missing_migrations,
    not_durable,
    round_trip_seconds,
    server_version,
    settings_that_differ,
)

__all__ = [
    "Backlog",
    "Failing",
    "Kind",
    "ProcessStatus",
    "PurgePreview",
    "QueueStatus",
    "State",
    "audit_age_seconds",
    "audits",
    "backlogs",
    "connections",
    "dead_by_handler",
    "dead_by_queue",
    "dead_letters",
    "deliveries_of",
    "failing",
    "handlers_unknown_here",
    "known_queue",
    "missing_migrations",
    "not_durable",
    "open_count",
    "outbox_length",
    "present",
    "processes",
    "purge_preview",
    "queue_status",
    "relay_lag_seconds",
    "round_trip_seconds",
    "server_version",
    "settings_that_differ",
    "workers_of",
]
