"""What comes over HTTP reaches Django, and what Django answers goes back, as it is."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from django.contrib.staticfiles.finders import find
from django.db import connection, transaction
from rest_framework.test import APIClient

from accounts.models import User
from imports.models import ImportFile
from tests.harness.web import PATH, WebProcess
from tests.library import save_many, token_of

pytestmark = pytest.mark.django_db(transaction=True)
OURS = "https://app.example.org"
SWAGGER = "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    # One thread of Django's: whoever held it would hold up all.
    running = WebProcess(
        tmp_path_factory.mktemp("gateway") / "web.log", WEB_THREADS="1", CORS_ORIGINS=OURS
    )
    yield running
    running.stop()


@pytest.fixture
def client(web: WebProcess, alice: User) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Token {token_of(alice)}"}
    with httpx.Client(base_url=web.url, headers=headers, timeout=20) as client:
        yield client


def test_a_large_body_arrives_whole(client: httpx.Client) -> None:
    content = os.urandom(5_000_000)

    answer = client.post("/api/v1/imports/", files={"file": content})

    assert (answer.status_code, answer.json()["size"]) == (202, len(content))
    assert bytes(ImportFile.objects.get().content) == content


def test_a_body_that_is_too_large_is_refused_unread(client: httpx.Client) -> None:
    answer = client.post("/api/v1/imports/", files={"file": bytes(30_000_000)})

    assert answer.status_code == 413
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.get("/healthz").status_code == 200


def test_scripts_of_sites_that_are_named_can_read_why_a_body_is_refused(
    client: httpx.Client,
) -> None:
    def refused(path: str, origin: str) -> tuple[int, str | None]:
        answer = client.post(path, content=bytes(2_000_000), headers={"Origin": origin})
        return answer.status_code, answer.headers.get("Access-Control-Allow-Origin")

    assert refused("/api/v1/cards/", OURS) == (413, OURS)
    assert refused("/api/v1/cards/", "https://evil.example") == (413, None)
    assert refused("/admin/login/", OURS) == (413, None)


def test_files_and_answers_that_are_made_piece_by_piece_arrive_whole(
    client: httpx.Client, alice: User, client_of: Callable[[Any], APIClient]
) -> None:
    save_many(alice, 300)
    path = find(SWAGGER)
    assert isinstance(path, str)

    export = client.get("/api/v1/exports/?format=csv")
    script = client.get(f"/static/{SWAGGER}")

    here: Any = client_of(alice).get("/api/v1/exports/?format=csv")
    assert export.content == b"".join(here.streaming_content)
    assert script.content == Path(path).read_bytes()


def test_head_has_no_body_and_odd_paths_are_not_found(client: httpx.Client) -> None:
    head = client.head("/api/v1/cards/")
    odd = [client.get(path) for path in ("/api/v1/caf%C3%A9/", "/%ff", "/a%2Fb")]

    assert (head.status_code, head.content) == (200, b"")
    assert [answer.status_code for answer in odd] == [404] * 3


def test_a_header_with_underscores_passes_for_no_other(client: httpx.Client) -> None:
    forged = client.get("/healthz", headers={"X_Request_ID": "mine"})
    real = client.get("/healthz", headers={"X-Request-ID": "mine"})

    assert forged.headers["X-Request-ID"] != "mine"
    assert real.headers["X-Request-ID"] == "mine"


def test_who_sends_slowly_or_goes_away_holds_up_nobody(
    web: WebProcess, client: httpx.Client
) -> None:
    head = (
        "POST /api/v1/cards/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: {client.headers['Authorization']}\r\nContent-Length: 40\r\n\r\n{{"
    )
    with socket.create_connection(("127.0.0.1", web.port)) as slow:
        slow.sendall(head.encode())
        time.sleep(0.1)
        began = time.monotonic()
        meanwhile = client.get("/api/v1/cards/")
        took = time.monotonic() - began
    afterwards = client.get("/api/v1/cards/")

    assert (meanwhile.status_code, afterwards.status_code) == (200, 200)
    assert took < 1
    assert not web.lines("request.failed")


def test_a_body_for_which_the_disk_has_no_room_is_refused_for_a_while(
    web: WebProcess, client: httpx.Client
) -> None:
    limit = psutil.RLIMIT_FSIZE
    before = web.worker.rlimit(limit)
    web.worker.rlimit(limit, (300_000, before[1]))
    try:
        refused = [client.post("/api/v1/cards/", content=b" " * n) for n in (301_000, 600_000)]
    finally:
        web.worker.rlimit(limit, before)

    assert [answer.status_code for answer in refused] == [503, 503]
    assert client.post("/api/v1/cards/", content=b" " * 600_000).status_code == 415
    assert len(web.lines("request.failed")) == 2


def test_a_download_that_fails_at_its_start_counts_no_longer(
    web: WebProcess, client: httpx.Client, alice: User
) -> None:
    save_many(alice, 3)
    address = "/api/v1/exports/?format=csl"

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("LOCK TABLE cards_card IN ACCESS EXCLUSIVE MODE")
        failed = [client.get(address).status_code for _ in range(2)]
    time.sleep(1.1)  # seconds of the circuit breaker

    assert failed == [503, 503]
    assert client.get(address).status_code == 200


def test_without_the_gateway_there_are_no_streams(
    alice: User, client_of: Callable[[Any], APIClient]
) -> None:
    answer: Any = client_of(alice).get(PATH, headers={"Accept": "text/event-stream"})

    assert answer.status_code == 503
    assert "python -m server" in answer.json()["detail"]
