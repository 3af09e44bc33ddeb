"""Logging: every record becomes one line, readable or JSON. See docs/observing.md."""

from __future__ import annotations

import logging
import logging.config
import os
import sys
import threading
from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import environ

from config.logs.libraries import OURS, QUIET
from config.logs.lines import Lines
from config.logs.secrets import secrets_of

__all__ = [
    "configuration", "configure", "secrets_of", "server_formatter", "wants_json",
]  # fmt: skip

EMPTY: Mapping[str, str] = {}

logger = logging.getLogger(__name__)


def configuration(
    *, level: str, as_json: bool, secrets: Collection[str] = (), sentry: Mapping[str, str] = EMPTY
) -> dict[str, Any]:
    """Return Django's LOGGING setting: all records to standard error, errors to Sentry too.

    `secrets` are masked in every line. Libraries log at INFO or above, whatever `level` is: their
    debug messages may quote the data that they process.
    """
    reports = _reports(sentry) if sentry.get("dsn") else {}
    level = level.upper()
    least = max(logging.INFO, logging.getLevelNamesMapping()[level])
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": partial(Lines, as_json=as_json, secrets=secrets)}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}} | reports,
        "root": {"handlers": ["console", *reports], "level": logging.getLevelName(least)},
        "loggers": {name: {"level": level} for name in OURS}
        | {name: {"level": quiet} for name, quiet in QUIET.items()},
    }


def server_formatter(**_: Any) -> logging.Formatter:
    """Return the formatter for the log lines of the web server's main process.

    That process must not load the settings, because its child processes need different ones
    (server/wsgi.py). So the formatter is configured from the environment alone.
    """
    return Lines(as_json=wants_json(os.environ), secrets=secrets_of(os.environ))


def wants_json(environment: Mapping[str, str]) -> bool:
    """Return whether to log JSON: as LOG_JSON says, or else unless this is a local stack.

    INSECURE_HTTP tells; without it, a local stack lacks the address of the database or the broker.
    """
    for name, meaning in (("LOG_JSON", True), ("INSECURE_HTTP", False)):
        if text := environment.get(name):
            return (text.lower() in environ.Env.BOOLEAN_TRUE_STRINGS) is meaning
    broker = environment.get("BROKER_URL") or environment.get("REDIS_URL")
    return bool(environment.get("DATABASE_URL") and broker)


def configure(options: dict[str, Any]) -> None:
    """Apply a LOGGING setting, and log uncaught exceptions and warnings too."""
    # No line shows these; collecting them takes a fifth of a record's time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.config.dictConfig(options)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _reports(sentry: Mapping[str, str]) -> dict[str, Any]:
    from config.logs.reports import Reports

    return {"reports": {"()": partial(Reports, **sentry), "level": "ERROR"}}


def _uncaught(kind: type[BaseException], error: BaseException, frames: Any) -> None:
    """Log an uncaught exception; Ctrl-C is printed as Python does."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, frames)
        return
    logger.critical("process.failed", exc_info=(kind, error, frames))


def _uncaught_in_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        logger.error("thread.failed", exc_info=failure.exc_value)
