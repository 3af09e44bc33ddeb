"""Reads of the event system's state: every page and command gets its figures here."""

from events.queries.audits import audit_age_seconds, audits
from events.queries.backlogs import Backlog, backlogs
from events.queries.deliveries import (
    Choice,
    Failing,
    Kind,
    choice,
    dead_by_handler,
    dead_by_queue,
    dead_letters,
    deliveries_of,
    failing,
    handlers_unknown_here,
    known_queue,
    open_count,
)
from events.queries.measures import connections
from events.queries.processes import ProcessStatus, State, present, processes, workers_of
from events.queries.queues import QueueStatus, queue_status
from events.queries.relay import outbox_length, relay_lag_seconds
from events.queries.servers import (
    missing_migrations,
    not_durable,
    round_trip_seconds,
    server_version,
    settings_that_differ,
)

__all__ = [
    "Backlog",
    "Choice",
    "Failing",
    "Kind",
    "ProcessStatus",
    "QueueStatus",
    "State",
    "audit_age_seconds",
    "audits",
    "backlogs",
    "choice",
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
    "queue_status",
    "relay_lag_seconds",
    "round_trip_seconds",
    "server_version",
    "settings_that_differ",
    "workers_of",
]
