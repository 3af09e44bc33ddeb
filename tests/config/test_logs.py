from __future__ import annotations

import json
import logging
import pickle
import subprocess
import sys
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo
from structlog.contextvars import bound_contextvars

from config import logs
from config.logs.lines import Lines
from tests.harness.processes import ROOT


def line(*, as_json: bool = True, **fields: Any) -> str:
    """Return the log line of one record."""
    record = logging.makeLogRecord(
        {"name": "eventbook.relay.relay", "levelname": "WARNING", **fields}
    )
    return Lines(as_json=as_json, secrets=logs.secrets_of(SECRETS)).format(record)


def said(**fields: Any) -> dict[str, Any]:
    """Return the fields of a record's log line, without its time."""
    made: dict[str, Any] = json.loads(line(**fields))
    del made["timestamp"]
    return made


SECRETS = {
    "DATABASE_URL": "postgres://someone:canary-database@db/name",
    "REDIS_URL": "rediss://:canary%2Fbroker@cache:6379/0",
    "METRICS_TOKEN": "canary-metrics",
    "FLOWER_BASIC_AUTH": "admin:canary-flower,second:canary-second",
    "SECRET_KEY_FALLBACKS": "canary-old,canary-oldest",
    "OTEL_EXPORTER_OTLP_HEADERS": "api-key=canary-header,other=x",
    "HOME": "/home/somebody",
}


def test_a_line_for_machines_has_the_message_and_its_fields() -> None:
    assert said(msg="deliveries.swept", queue="feeds", count=3) == {
        "event": "deliveries.swept",
        "level": "warning",
        "logger": "eventbook.relay.relay",
        "queue": "feeds",
        "count": 3,
    }


def test_a_registry_whose_format_has_changed_is_named() -> None:
    assert said(msg="registry.unexpected_response", registry="crossref")["registry"] == "crossref"


def test_a_line_has_the_fields_of_what_it_was_logged_in() -> None:
    with bound_contextvars(delivery=7, trace_id="ab", password="canary"):
        made = said(msg="card.fetched", delivery=8)

    assert (made["delivery"], made["trace_id"]) == (8, "ab")
    assert "password" not in made


def test_a_line_for_people_reads_as_a_line() -> None:
    assert "deliveries.swept" in line(as_json=False, msg="deliveries.swept", queue="feeds")
    assert "queue=feeds" in line(as_json=False, msg="deliveries.swept", queue="feeds")


def test_what_libraries_attach_stays_out() -> None:
    for as_json in (True, False):
        assert "canary" not in line(as_json=as_json, msg="Bad Request", request="canary")


def test_a_traceback_shows_neither_values_nor_messages() -> None:
    text = "canary".upper()
    try:
        try:
            raise ValueError(text)
        except ValueError as error:
            raise KeyError(text) from error
    except KeyError:
        for as_json in (True, False):
            made = line(as_json=as_json, msg="failed", exc_info=sys.exc_info())
            assert "ValueError" in made
            assert "KeyError at tests/config/test_logs.py:" in made
            assert "CANARY" not in made


def test_a_traceback_of_a_workers_child_is_told_by_its_frames() -> None:
    try:
        fail_on("canary")
    except ValueError:
        sent = pickle.dumps(ExceptionInfo().exception)
    received = pickle.loads(sent)

    made = said(msg="failed", exc_info=(type(received), received, None))

    assert "in fail_on" in made["exception"]
    assert made["exception"].splitlines()[-1] == "ValueError"
    assert made["error"].startswith("ValueError at tests/config/test_logs.py:")
    assert "canary" not in str(made).replace('fail_on("canary")', "")


def fail_on(words: str) -> None:
    raise ValueError(f'  File "x", line 1, in what {words} wrote')


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, False),
        ({"INSECURE_HTTP": "1"}, False),
        ({"INSECURE_HTTP": "1", "LOG_JSON": "1"}, True),
        ({"DATABASE_URL": "postgres://db/x", "REDIS_URL": "redis://r/0"}, True),
        ({"DATABASE_URL": "postgres://db/x", "REDIS_URL": "redis://r/0", "LOG_JSON": "no"}, False),
    ],
)
def test_lines_are_for_machines_in_production(environment: dict[str, str], expected: bool) -> None:
    assert logs.wants_json(environment) is expected


def test_the_main_process_of_the_web_server_keeps_from_the_settings() -> None:
    # Its children set variables before they load them (server/wsgi.py).
    script = (
        "import sys; from config.logs import server_formatter; server_formatter();"
        "print('config.settings' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("secret", ["canary-database", "canary/broker", "canary%2Fbroker",
                                    "canary-metrics", "canary-flower", "canary-second",
                                    "canary-old", "canary-oldest", "canary-header"])  # fmt: skip
@pytest.mark.parametrize("as_json", [True, False])
def test_a_secret_of_the_environment_is_masked_wherever_it_stands(
    secret: str, as_json: bool
) -> None:
    made = line(as_json=as_json, msg=f"this was never meant to be logged: {secret}")

    assert "[secret]" in made
    assert secret not in made


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot reach redis://user:hunter2@host:1/0", "redis://[secret]@host:1/0"),
        ("GET /unsubscribe?token=abc&x=1", "?token=[secret]&x=1"),
        ("password=hunter2", "password=[secret]"),
        ("https://example.org/a@b", "https://example.org/a@b"),
    ],
)
def test_logins_and_tokens_in_addresses_are_masked(text: str, shown: str) -> None:
    assert shown in line(msg=text)


@pytest.mark.parametrize(
    ("logger", "template", "args", "expected"),
    [
        (
            "celery.worker.consumer.connection", "Connected to %s", ("redis://:x@h/0",),
            {"event": "broker.connected"},
        ),
        (
            "celery.apps.worker", "%s ready.", ("feeds@host",),
            {"event": "worker.started", "worker": "feeds@host"},
        ),
        (
            "celery.worker.consumer.consumer", "consumer: Cannot connect to %s: %s.\n%s\n",
            ("redis://h", ConnectionRefusedError(111, "refused"), "Trying again"),
            {"event": "broker.connection_failed", "level": "warning",
             "error": "ConnectionRefusedError: [Errno 111] refused"},
        ),
        (
            "celery.worker.consumer.consumer", "Received unregistered task of type %s.\n…%s%s%s",
            ("no.such", "canary", "canary", "canary"),
            {"event": "handler.unknown", "handler": "no.such"},
        ),
        (
            "celery.app.trace", "Task %(name)s[%(id)s] %(description)s: %(exc)s",
            ({"name": "feeds.fan_out", "id": "1", "description": "x", "exc": "canary"},),
            {"event": "task.failed", "handler": "feeds.fan_out"},
        ),
        (
            "django.security.DisallowedHost", "Invalid HTTP_HOST header: canary", (),
            {"event": "request.suspicious", "level": "warning"},
        ),
        (
            "some.library", "%s took %d ms: %s", ("/users/canary/", 7, ValueError("canary")),
            {"event": "… took 7 ms: ValueError"},
        ),
        # asyncio fills in its messages itself; the first line is constant.
        (
            "asyncio", "Task exception was never retrieved\nfuture: <Task exception='canary'>", (),
            {"event": "Task exception was never retrieved"},
        ),
        ("uvicorn.error", "Listening at: http://127.0.0.1:1", (),
         {"event": "Listening at: http://127.0.0.1:1"}),
    ],
)  # fmt: skip
def test_what_a_library_says_is_put_into_our_words(
    logger: str, template: str, args: tuple[Any, ...], expected: dict[str, Any]
) -> None:
    # As `logging` does with a single mapping.
    given = args[0] if args and isinstance(args[0], dict) else args

    made = said(name=logger, msg=template, args=given)

    assert made == {"level": "warning", "logger": logger} | expected
    assert "canary" not in str(made)
