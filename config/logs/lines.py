"""How a record becomes a line: which fields it has, and how it is written.

In a formatter of our own: structlog's for records of `logging` costs three times as much, and every
request writes a line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any

import msgspec
from structlog.contextvars import get_contextvars
from structlog.dev import ConsoleRenderer

from config.logs.libraries import in_our_words
from config.logs.secrets import masking
from events.failures import reason, told, trace

# Messages are constants, and these are the fields with their facts; nothing else is written. What
# libraries attach may hold whole requests.
FIELDS = {
    "address",
    "attempt",
    "count",
    "delivery",
    "duration_ms",
    "error",
    "event_id",
    "examples",
    "handler",
    "handlers",
    "held",
    "lease",
    "method",
    "port",
    "queue",
    "queues",
    "request_id",
    "result",
    "route",
    "rule",
    "seconds",
    "state",
    "status",
    "trace_id",
    "worker",
}
# Errors about how a process was set up, whose messages are for whoever does that.
ABOUT_SETUP = {"ImproperlyConfigured", "CommandError", "UnknownQueue", "ProgramMissing"}

Line = dict[str, Any]


class Lines(logging.Formatter):
    """One line a record: JSON, or one that people read, with a traceback below it."""

    def __init__(self, *, as_json: bool, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self.render = for_machines() if as_json else for_people()
        self.mask = masking(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        return self.mask(self.render(line_of(record)))


def line_of(record: logging.LogRecord) -> Line:
    """Return what is said of a record: its message, the present fields and its own."""
    said = in_our_words(record)
    line = {
        "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
        "level": said.level or record.levelname.lower(),
        "event": said.message,
        "logger": record.name,
        **fields_of(record),
        **said.fields,
    }
    if record.exc_info and (error := record.exc_info[1]):
        is_setup = type(error).__name__ in ABOUT_SETUP
        line.setdefault("error", reason(error) if is_setup else told(error))
        line["exception"] = trace(error)
    return line


def fields_of(record: logging.LogRecord) -> Line:
    """Return the fields that a record has of its own or from what it was made in."""
    own = vars(record)
    line = {name: value for name, value in get_contextvars().items() if name in FIELDS}
    line.update({name: own[name] for name in own.keys() & FIELDS})
    return line


def for_machines() -> Callable[[Line], str]:
    """Return the way to write JSON."""
    encode = msgspec.json.Encoder(enc_hook=str).encode
    return lambda line: encode(line).decode()


def for_people() -> Callable[[Line], str]:
    """Return the way to write what people read."""
    console = ConsoleRenderer(colors=False, pad_event_to=0)
    return lambda line: console(None, "", line)
