"""How log records become lines: readable ones, or JSON for machines."""

from __future__ import annotations

from typing import Any

import structlog

# Messages are constants, and these are the fields with their facts. Only ours: what libraries
# attach may hold whole requests.
FIELDS = {
    "count",
    "delivery",
    "error",
    "examples",
    "handler",
    "handlers",
    "held",
    "lease",
    "queue",
    "result",
    "rule",
    "state",
    "worker",
}
# Their lines at INFO tell what others tell better.
QUIET = ("celery.worker.strategy", "flower", "httpx")


def configuration(*, level: str, as_json: bool) -> dict[str, Any]:
    """This answers Django's LOGGING setting: everything to standard error."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(allow=FIELDS),
        ],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *(for_machines() if as_json else for_people()),
        ],
    }
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": formatter},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {name: {"level": "WARNING"} for name in QUIET},
    }


def for_machines() -> list[Any]:
    """This answers the last steps of a line of JSON."""
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def for_people() -> list[Any]:
    """This answers the last step of a readable line."""
    # Plain: a traceback with local variables would show secrets.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, exception_formatter=plain)]
