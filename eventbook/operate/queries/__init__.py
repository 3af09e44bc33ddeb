"""Reads of the event system's state: every page and command gets its figures here."""

from eventbook.operate.queries.audits import audit_age_seconds, audits
from eventbook.operate.queries.backlogs import backlogs
from eventbook.operate.queries.delayed import count_delayed, delayed_events, delayed_ids
from eventbook.operate.queries.deliveries import (
    FailingHandler,
    ListedState,
    PurgePreview,
    dead_by_handler,
    dead_by_queue,
    dead_letters,
    deliveries_of,
    failing_handlers,
    known_queue,
    open_count,
    purge_preview,
    unknown_handlers,
)
from eventbook.operate.queries.measures import measures
from eventbook.operate.queries.processes import (
    ALIVE_SECONDS,
    ProcessGroup,
    ProcessState,
    ProcessStatus,
    inline_relays,
    live_workers,
    open_streams,
    process_groups,
    processes,
    workers_by_queue,
)
from eventbook.operate.queries.queues import QueueStatus, queue_status
from eventbook.operate.queries.relay import outbox_length, relay_lag_seconds
from eventbook.operate.queries.servers import (
    connections_used_and_allowed,
    missing_migrations,
    not_durable,
    round_trip_seconds,
    server_version,
    settings_that_differ,
)

__all__ = [
    "ALIVE_SECONDS",
    "FailingHandler",
    "ListedState",
    "ProcessGroup",
    "ProcessState",
    "ProcessStatus",
    "PurgePreview",
    "QueueStatus",
    "audit_age_seconds",
    "audits",
    "backlogs",
    "connections_used_and_allowed",
    "count_delayed",
    "dead_by_handler",
    "dead_by_queue",
    "dead_letters",
    "delayed_events",
    "delayed_ids",
    "deliveries_of",
    "failing_handlers",
    "inline_relays",
    "known_queue",
    "live_workers",
    "measures",
    "missing_migrations",
    "not_durable",
    "open_count",
    "open_streams",
    "outbox_length",
    "process_groups",
    "processes",
    "purge_preview",
    "queue_status",
    "relay_lag_seconds",
    "round_trip_seconds",
    "server_version",
    "settings_that_differ",
    "unknown_handlers",
    "workers_by_queue",
]
