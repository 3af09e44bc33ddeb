"""The formatter of log lines: which fields a line has, and how they are written.

structlog's own formatter for records of `logging` takes three times as long, and each request
writes a line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import msgspec
from structlog.contextvars import get_contextvars
from structlog.dev import ConsoleRenderer

from config.logs.libraries import safe_message
from config.logs.secrets import masking
from eventbook.observe import class_and_place, connection_error, traceback_without_messages

# The only fields that are written; messages are constants. Libraries attach other fields to their
# records, for example whole requests.
FIELDS = {
    "address", "attempt", "bridge", "count", "delivery", "duration_ms", "error", "event_id",
    "examples", "handler", "handlers", "held", "lease", "method", "port", "queue", "queues",
    "registry", "request_id", "result", "route", "rule", "seconds", "state", "status",
    "trace_id", "worker",
}  # fmt: skip
# Errors in the setup of a process. Their messages are logged in full: operators need them, and they
# contain no user data.
ABOUT_SETUP = {"ImproperlyConfigured", "CommandError", "UnknownQueue", "ProgramMissing"}

Line = dict[str, Any]


class Lines(logging.Formatter):
    """Formats a record as one line of JSON, or as a readable line with the traceback below it."""

    def __init__(self, *, as_json: bool, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self.render = json_renderer() if as_json else text_renderer()
        self.mask = masking(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with secrets masked."""
        return self.mask(self.render(line_of(record)))


def line_of(record: logging.LogRecord) -> Line:
    """Return a record's line: message, level, time, fields, and the exception if there is one."""
    message = safe_message(record)
    line = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "level": message.level or record.levelname.lower(),
        "event": message.text,
        "logger": record.name,
        **fields_of(record),
        **message.fields,
    }
    if record.exc_info and (error := record.exc_info[1]):
        is_setup = type(error).__name__ in ABOUT_SETUP
        line.setdefault("error", connection_error(error) if is_setup else class_and_place(error))
        line["exception"] = traceback_without_messages(error)
    return line


def fields_of(record: logging.LogRecord) -> Line:
    """Return the record's own fields, and those bound to the current request or task."""
    own = vars(record)
    line = {name: value for name, value in get_contextvars().items() if name in FIELDS}
    line.update({name: own[name] for name in own.keys() & FIELDS})
    return line


def json_renderer() -> Callable[[Line], str]:
    """Return the function that writes a line as JSON."""
    encode = msgspec.json.Encoder(enc_hook=str).encode
    return lambda line: encode(line).decode()


def text_renderer() -> Callable[[Line], str]:
    """Return the function that writes a readable line."""
    console = ConsoleRenderer(colors=False, pad_event_to=0)
    return lambda line: console(None, "", line)
