"""Log records of libraries: replace their messages by ours, and hide their arguments.

An argument may quote private data: a database row in an exception, a message's whole body, or the
path of a user's profile. REPLACEMENTS has our message for each library message that operators need.
Of any other record, only the message template is logged, with numbers and plain names filled in.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from eventbook.observe import connection_error, name_of

# The lowest level of each of these loggers. Below it, their lines repeat our own ones (each request
# is logged by server/requests.py), and contain paths and queries.
QUIET = {
    "celery.app.trace": "WARNING",
    "celery.worker.strategy": "WARNING",
    "django.request": "CRITICAL",
    "django.server": "CRITICAL",
    "django.security.csrf": "CRITICAL",
    "flower": "WARNING",
    "httpx": "WARNING",
    "httpcore": "WARNING",
    "tornado.access": "CRITICAL",
    "urllib3": "WARNING",
}


class SafeMessage(NamedTuple):
    """A record's message, level and fields for the log; an empty level means the record's own."""

    text: str
    level: str = ""
    fields: Mapping[str, Any] = {}


class Replacement(NamedTuple):
    """Our replacement for a library's message.

    `places` maps our fields to the positions of the library's arguments.
    """

    message: str
    level: str = ""
    places: Mapping[str, int] = {}


CONSUMER = "celery.worker.consumer.consumer"
# By the logger's name (or its first parts), and the beginning of the message template.
REPLACEMENTS: dict[tuple[str, str], Replacement] = {
    ("celery.apps.worker", "%s ready."): Replacement("worker.started", places={"worker": 0}),
    ("celery.worker.consumer.connection", "Connected to "): Replacement("broker.connected"),
    ("kombu.mixins", "Connected to "): Replacement("broker.connected"),
    (CONSUMER, "consumer: Cannot connect"): Replacement(
        "broker.connection_failed", "warning", {"error": 1}
    ),
    # The arguments name the exception. Celery retries the connection for ever.
    (CONSUMER, "%s (%r)"): Replacement("broker.connection_lost", "warning", {"error": 1}),
    (CONSUMER, "Received unregistered task"): Replacement("handler.unknown", places={"handler": 0}),
    (CONSUMER, "Received and deleted unknown"): Replacement("message.unknown"),
    (CONSUMER, "Received invalid task"): Replacement("message.invalid", places={"error": 0}),
    (CONSUMER, "Can't decode message"): Replacement("message.undecodable", places={"error": 0}),
    ("celery.beat", "beat: Starting"): Replacement("beat.started"),
    ("celery.beat", "beat: Shutting down"): Replacement("beat.stopped"),
    ("celery.worker", "Unrecoverable error"): Replacement("worker.failed", places={"error": 0}),
    ("opentelemetry", ""): Replacement("traces.not_exported", "warning"),
    ("django.security", ""): Replacement("request.suspicious", "warning"),
}
TASK_LOGGER = "celery.app.trace"
# Libraries whose string arguments are names of workers, tasks and the like, never users' text.
SAFE_ARGUMENTS = ("celery", "flower", "kombu", "tornado", "uvicorn")
CONNECTION_MODULES = ("kombu.", "redis.")
NAME = re.compile(r"[\w.@:+-]{1,100}")

# The project's packages. LOG_LEVEL counts for their loggers, whose messages are constants.
OURS = {
    "accounts", "api", "cards", "config", "demo", "eventbook", "exports", "feeds", "imports",
    "notifications", "outside", "pages", "server", "stack", "tests",
}  # fmt: skip


def safe_message(record: logging.LogRecord) -> SafeMessage:
    """Return a record's message and fields: our own unchanged, a library's replaced."""
    if record.name.partition(".")[0] in OURS:
        return SafeMessage(record.getMessage())
    if record.name == TASK_LOGGER and isinstance(record.args, Mapping):
        # A task failed as a whole; the record has the exception.
        return SafeMessage("task.failed", "", {"handler": record.args.get("name")})
    if replacement := replacement_for(record):
        fields = _fields(replacement, record.args)
        return SafeMessage(replacement.message, replacement.level, fields)
    return SafeMessage(_masked(record.name, str(record.msg), record.args))


def replacement_for(record: logging.LogRecord) -> Replacement | None:
    """Return our replacement for a library's record, or None if the table has none."""
    for (name, beginning), replacement in REPLACEMENTS.items():
        if f"{record.name}.".startswith(f"{name}.") and str(record.msg).startswith(beginning):
            return replacement
    return None


def _fields(replacement: Replacement, args: Any) -> dict[str, Any]:
    """Return the arguments of a library's record that become fields."""
    given = args if isinstance(args, tuple) else ()
    return {
        name: _argument(given[place], named=True)
        for name, place in replacement.places.items()
        if place < len(given)
    }


def _masked(logger: str, template: str, args: Any) -> str:
    """Return a library's message with all arguments that may be private replaced by `…`."""
    named = logger.partition(".")[0] in SAFE_ARGUMENTS
    if not args:
        # A library may have filled in the arguments itself. asyncio puts exceptions below the first
        # line.
        return template if named else template.partition("\n")[0][:200]
    try:
        if isinstance(args, Mapping):
            return template % {name: _argument(value, named) for name, value in args.items()}
        return template % tuple(_argument(value, named) for value in args)
    except (TypeError, ValueError):
        return template


def _argument(value: Any, named: bool) -> Any:
    """Return an argument in loggable form; `named`: names and connection errors are safe too."""
    if isinstance(value, int | float):
        return value
    if isinstance(value, BaseException):
        return _describe_error(value) if named else name_of(value)
    return value if named and isinstance(value, str) and NAME.fullmatch(value) else "…"


def _describe_error(error: BaseException) -> str:
    """Return the message of a connection error, which names the server; else the error's class."""
    is_connection_error = isinstance(error, ConnectionError) or type(error).__module__.startswith(
        CONNECTION_MODULES
    )
    return connection_error(error) if is_connection_error else name_of(error)
