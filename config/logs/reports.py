"""Error reports to Sentry: each record logged as an error is reported, with its log line's fields.

This module is imported only if SENTRY_DSN is set. Sentry's integrations are all off, because they
attach requests, SQL statements and arguments. A delivery that will be retried is not reported; a
dead letter is.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import sentry_sdk
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import event_from_exception

from config.logs.libraries import OURS, TASK_LOGGER, replacement_for
from config.logs.lines import fields_of
from eventbook.observe import name_of

# The parts of a report that are sent; Sentry and libraries attach others, which are removed.
SENT_PARTS = {
    "contexts", "environment", "event_id", "exception", "fingerprint", "level", "logentry",
    "logger", "platform", "release", "sdk", "server_name", "tags", "timestamp",
}  # fmt: skip


class Reports(logging.Handler):
    """A log handler that reports records to Sentry, whose client sends them in its own thread."""

    def __init__(self, *, dsn: str, release: str, environment: str) -> None:
        """Start Sentry's client, without anything that collects requests, SQL or arguments."""
        super().__init__()
        sentry_sdk.init(
            dsn=dsn,
            release=release or None,
            environment=environment,
            send_default_pii=False,
            include_local_variables=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            default_integrations=False,
            auto_enabling_integrations=False,
            auto_session_tracking=False,
            send_client_reports=False,
            before_send=scrubbed,
            shutdown_timeout=2,
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Report a record under our message for it, unless the message is empty."""
        try:
            if message := message_of(record):
                sentry_sdk.capture_event(report(record, message))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Send pending reports, within 2 seconds."""
        sentry_sdk.flush(timeout=2)
        super().close()


def message_of(record: logging.LogRecord) -> str:
    """Return the constant message for a record's report; empty if the record is no error for us.

    A library's record has our message from the table, or else `library.failed`.
    """
    if record.name.partition(".")[0] in OURS:
        return str(record.msg)
    if record.name == TASK_LOGGER:
        return "task.failed"
    replacement = replacement_for(record)
    if replacement is None:
        return "library.failed"
    return "" if replacement.level == "warning" else replacement.message


def report(record: logging.LogRecord, message: str) -> Event:
    """Return the report of a record, as a Sentry event."""
    fields = fields_of(record)
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    described: Any = {}
    if error is not None:
        described, _ = event_from_exception(error, client_options=sentry_sdk.get_client().options)
    event: Any = described | {
        "level": "fatal" if record.levelno >= logging.CRITICAL else "error",
        "logger": record.name,
        "logentry": {"message": message},
        "tags": {name: str(value) for name, value in fields.items()},
        # Sentry groups reports by this: by handler and kind of error, not by event.
        "fingerprint": [
            message,
            str(fields.get("handler") or fields.get("route") or record.name),
            name_of(error) if error else str(fields.get("error", "")),
        ],
    }
    return cast(Event, event)


def scrubbed(event: Event, hint: Hint) -> Event | None:
    """Remove possible user data from a report: exception messages, variables, request data."""
    sent: dict[str, Any] = {name: value for name, value in event.items() if name in SENT_PARTS}
    sent["contexts"] = {}
    for value in sent.get("exception", {}).get("values", []):
        value["value"] = ""
        for frame in value.get("stacktrace", {}).get("frames", []):
            frame.pop("vars", None)
    return cast(Event, sent)
