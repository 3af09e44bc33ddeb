"""Secrets and people's words are planted everywhere, and must come out nowhere.

Each test does what it names, and checks that it was told of; the last ones read all that was told.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from celery import Celery
from django.conf import settings
from pytest_django import DjangoDbBlocker
from rest_framework.test import APIClient

from config.logs.lines import Lines
from eventbook.models import Delivery
from tests.harness.observed import Observed, observing
from tests.harness.processes import free_port, wait_for

MARK = f"canary-{secrets.token_hex(4)}"
NOWHERE = f"127.0.0.1:{free_port()}"


def planted(what: str) -> str:
    """Return words that can be recognized wherever they appear."""
    return f"{MARK}-{what}"


PERSON = {
    "username": planted("username"),
    "email": f"{planted('email')}@example.org",
    "password": f"{secrets.token_hex(8)} and no word of the name",
    "display_name": planted("display-name"),
}
ACCOUNT = {name: PERSON[name] for name in ("username", "email", "password")}


@pytest.fixture(scope="module")
def observed(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Observed]:
    folder = tmp_path_factory.mktemp("observed")
    # A secret of the environment that nothing uses must not be told either.
    with observing(folder, django_db_blocker, SOME_API_KEY=planted("api-key")) as running:
        yield running


@pytest.fixture(scope="module")
def seen_by_flower(observed: Observed) -> Iterator[list[Any]]:
    """Collects Celery's task events as Flower receives them, with arguments."""
    app = Celery(broker=observed.environment("flower")["REDIS_URL"], set_as_current=False)
    app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    app.control.enable_events(reply=True, timeout=2)
    seen: list[Any] = []
    ended = threading.Event()

    def listen() -> None:
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": seen.append})
            while not ended.is_set():
                with suppress(TimeoutError):
                    receiver.capture(limit=None, timeout=0.2, wakeup=False)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield seen
    ended.set()
    thread.join(timeout=5)


def test_a_request_is_told_by_its_route(
    alice: Any, client_of: Callable[[Any], APIClient], caplog: pytest.LogCaptureFixture
) -> None:
    answer = client_of(alice).get("/api/v1/users/alice/?q=words")

    (record,) = [record for record in caplog.records if record.name == "server.requests"]
    line = Lines(as_json=True).format(record)
    assert answer.status_code == 400
    assert json.loads(line)["route"] == "api/v1/users/<username:username>/"
    assert "alice" not in line
    assert "words" not in line


@pytest.mark.usefixtures("seen_by_flower")
def test_requests_with_secrets_and_words_in_every_place(observed: Observed) -> None:
    with httpx.Client(base_url=observed.url) as guest:
        answer = guest.post("/api/v1/auth/register/", json=ACCOUNT)
        planted_token.append(answer.json()["token"])
        codes = [answer.status_code, *asked_by_owner(observed), *asked_by_guest(guest)]

    assert codes == [201, 201, 201, 400, 404, 400, 404, 401, 401, 200, 403, 500]
    done = observed.lines("web", "request.done")
    assert [line["status"] for line in done] == codes
    assert done[3]["route"] == "api/v1/users/<username:username>/"
    assert all(len(line["request_id"]) == len(line["trace_id"]) == 32 for line in done)
    (failure,) = observed.lines("web", "request.failed")
    assert failure["error"].startswith("ValueError at tests/faults/views.py:")
    assert failure["request_id"] == done[-1]["request_id"]


def asked_by_owner(observed: Observed) -> list[int]:
    """Send requests as the person, and return the status of each response."""
    headers = {
        "Authorization": f"Token {planted_token[0]}",
        "X-Request-ID": PERSON["email"],
        "Referer": f"https://example.org/?q={planted('referer')}",
        "User-Agent": planted("user-agent"),
        "Content-Type": "application/json",
    }
    cookies = {"sessionid": planted("session")}
    link = {"type": "URL", "url": f"https://example.org/?token={planted('url-token')}"}
    with httpx.Client(base_url=f"{observed.url}/api/v1", headers=headers, cookies=cookies) as mine:
        answers = [
            mine.post("/cards/", json={"type": "NOTE", "text": planted("note")}),
            mine.post("/cards/", json=link | {"title": planted("title")}),
            mine.get(f"/users/{PERSON['username']}/?q={planted('query')}"),
            mine.get(f"/users/{planted('nobody')}/"),
            mine.post("/cards/", content=f'{{"text": "{planted("broken-json")}'),
            mine.get(f"/{planted('path')}/"),
        ]
    return [answer.status_code for answer in answers]


def asked_by_guest(guest: httpx.Client) -> list[int]:
    """Send requests without a valid login, and return the status of each response."""
    wrong = {"username": PERSON["username"], "password": planted("wrong-password")}
    bad = {"Authorization": f"Token {planted('bad-token')}"}
    answers = [
        guest.post("/api/v1/auth/login/", json=wrong),
        guest.get("/api/v1/cards/", headers=bad),
        guest.get("/healthz", headers={"Host": planted("host")}),
        guest.post("/admin/login/", data=PERSON),
        guest.get(f"/probe/?fail={planted('unexpected')}"),
    ]
    return [answer.status_code for answer in answers]


# The token is made by the server: it has no mark of ours.
planted_token: list[str] = []


@pytest.mark.usefixtures("seen_by_flower")
def test_handlers_that_fail_with_words_in_their_messages(observed: Observed) -> None:
    for behaviour in ("raise", "quote_a_row"):
        key = quote(f"{planted('words')}-{behaviour}")
        httpx.get(f"{observed.url}/probe/?key={key}&behaviour={behaviour}")

    wait_for(
        lambda: Delivery.objects.filter(state="dead", handler__startswith="probe.").count() == 4,
        seconds=20,
        what="all are dead letters",
    )

    # Staff find the words with the delivery; the log says which one it is.
    letter = Delivery.objects.get(handler="probe.write", error__contains="Refused")
    assert planted("words") in letter.error
    (dead,) = [
        line
        for line in observed.lines("worker", "delivery.dead")
        if line["delivery"] == letter.pk
    ]  # fmt: skip
    assert {name: dead[name] for name in ("event_id", "handler", "queue", "attempt", "state")} == {
        "event_id": str(letter.event_id),
        "handler": "probe.write",
        "queue": "notifications",
        "attempt": 3,
        "state": "dead",
    }
    assert dead["trace_id"] == letter.event.traceparent[3:35]
    assert dead["error"].startswith("tests.probe.behaviours.Refused at tests/probe/behaviours.py:")
    assert len(observed.lines("worker", "delivery.failed")) == 2 * 4


def test_servers_that_are_away_and_whose_addresses_have_passwords(observed: Observed) -> None:
    broker = {"REDIS_URL": f"redis://someone:{planted('broker')}@{NOWHERE}/0"}
    database = {"DATABASE_URL": f"postgres://someone:{planted('database')}@{NOWHERE}/name"}
    port = free_port()
    web = {"WEB_PORT": str(port), "WEB_STOP_SECONDS": "5"}
    observed.launch("lost-relay", observed.programs["relay"], **broker)
    observed.launch("lost-worker", observed.programs["worker"], **broker)
    observed.launch("blind-relay", observed.programs["relay"], **database)
    observed.launch("blind-beat", "celery --quiet -A config beat", **database)
    observed.launch("blind-web", observed.programs["web"], **database, **web)
    observed.launch("blind-doctor", "python manage.py doctor", **database, **broker)
    observed.launch("blind-command", "python manage.py rebuild_feeds --all", **database)
    observed.launch("failing-command", "python manage.py shell --no-imports -c 1/0", **database)

    told = {
        "lost-relay": "relay.broker_down",
        "lost-worker": "broker.connection_failed",
        "blind-relay": "relay.database_down",
        "blind-beat": "beat.database_down",
        "blind-web": "web.started",
        "blind-command": "PostgreSQL can't be reached",
        "failing-command": "process.failed",
    }
    for name, message in told.items():
        wait_for(lambda: message in observed.log(name), seconds=40, what=f"{name}: {message}")  # noqa: B023
    refused = httpx.get(
        f"http://127.0.0.1:{port}/api/v1/cards/",
        headers={"Authorization": f"Token {planted('token')}"},
        timeout=20,
    )
    wait_for(
        lambda: observed.processes["blind-doctor"].poll() is not None,
        seconds=30,
        what="the doctor is done",
    )

    assert refused.status_code == 503
    assert observed.lines("blind-web", "request.unavailable")


def test_every_line_of_every_process_is_json_of_known_fields(observed: Observed) -> None:
    # Commands talk to people, on the same stream.
    for name in observed.processes.keys() - {"blind-doctor", "blind-command"}:
        for line in observed.lines(name):
            assert {"timestamp", "level", "event", "logger"} <= line.keys(), name


def test_errors_are_reported_once_with_what_finds_them(observed: Observed) -> None:
    wait_for(
        lambda: len(dead_letters(observed)) == 4 and len(messages(observed)) == 3,
        seconds=30,
        what="the dead letters, the request and the command are reported",
    )

    # Not the attempts before the last one, nor servers that are away.
    assert messages(observed) == {"delivery.dead", "request.failed", "process.failed"}
    report = next(r for r in dead_letters(observed) if r["tags"]["handler"] == "probe.call")
    assert report["tags"].keys() == {
        "attempt", "delivery", "error", "event_id", "handler", "queue", "state", "trace_id",
    }  # fmt: skip
    assert (report["release"], report["environment"]) == ("2026.1", "local")
    assert report["fingerprint"][:2] == ["delivery.dead", "probe.call"]
    (request,) = unexpected(observed)
    assert request["tags"]["request_id"]
    assert request["fingerprint"] == ["request.failed", "server.requests", "ValueError"]


def test_nothing_planted_is_in_logs_traces_reports_or_flower(
    observed: Observed, seen_by_flower: list[Any]
) -> None:
    logs = {name: observed.log(name) for name in observed.processes}
    told = logs | {
        "traces and reports": b"\n".join(observed.collector.bodies).decode(),
        "flower": repr(seen_by_flower),
    }
    words = [MARK, PERSON["password"], *planted_token, settings.SECRET_KEY]

    assert "probe.sent × 1" in told["flower"]
    assert observed.collector.spans
    assert {(n, word) for n, text in told.items() for word in words if word in text} == set()


def messages(observed: Observed) -> set[str]:
    return {report["logentry"]["message"] for report in observed.collector.reports()}


def dead_letters(observed: Observed) -> list[dict[str, Any]]:
    return [r for r in observed.collector.reports() if r["logentry"]["message"] == "delivery.dead"]


def unexpected(observed: Observed) -> list[dict[str, Any]]:
    return [r for r in observed.collector.reports() if r["logentry"]["message"] == "request.failed"]
