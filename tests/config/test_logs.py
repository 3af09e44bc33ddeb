from __future__ import annotations

import json
import logging
import sys
from typing import Any

import structlog

from config import logs


def line(*, as_json: bool, **fields: Any) -> str:
    """This answers the line of one record."""
    options = logs.configuration(level="INFO", as_json=as_json)["formatters"]["lines"]
    arguments = {name: value for name, value in options.items() if name != "()"}
    formatter = structlog.stdlib.ProcessorFormatter(**arguments)
    record = logging.makeLogRecord({"name": "events.relay", "levelname": "WARNING", **fields})
    return formatter.format(record)


def test_a_line_for_machines_has_the_message_and_its_fields() -> None:
    made = json.loads(line(as_json=True, msg="deliveries.swept", queue="feeds", count=3))

    del made["timestamp"]
    assert made == {
        "event": "deliveries.swept",
        "level": "warning",
        "logger": "events.relay",
        "queue": "feeds",
        "count": 3,
    }


def test_a_line_for_people_reads_as_a_line() -> None:
    assert "deliveries.swept" in line(as_json=False, msg="deliveries.swept", queue="feeds")
    assert "queue=feeds" in line(as_json=False, msg="deliveries.swept", queue="feeds")


def test_what_libraries_attach_stays_out() -> None:
    for as_json in (True, False):
        assert "canary" not in line(as_json=as_json, msg="Bad Request", request="canary")


def test_a_traceback_shows_no_values() -> None:
    password = "canary"
    try:
        raise ValueError(len(password))
    except ValueError:
        for as_json in (True, False):
            made = line(as_json=as_json, msg="failed", exc_info=sys.exc_info())
            assert "ValueError: 6" in made
            assert "canary" not in made
