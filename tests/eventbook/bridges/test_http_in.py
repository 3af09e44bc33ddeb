"""Events that other systems post, to a real server."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from django.db import connection

from eventbook.bridges.consuming import Consumer
from eventbook.models import Event, ParkedMessage, ReceivedEvent
from eventbook.operate.diagnosis import bridges as diagnosis
from tests.eventbook.bridges.conftest import CONSUME, Configure, Processes
from tests.eventbook.bridges.others import STRUCTURED, event
from tests.harness.processes import free_port, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
TOKEN = "a-token-in-tests"
Post = Callable[..., httpx.Response]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def post(port: int) -> Post:
    """Return a function that posts an event, as another system does."""

    def posted(body: Any, *, path: str = "/events", **headers: str) -> httpx.Response:
        given = {"Authorization": f"Bearer {TOKEN}", "Content-Type": STRUCTURED} | headers
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(
            f"http://127.0.0.1:{port}{path}", content=content, headers=given, timeout=30
        )

    return posted


@pytest.fixture
def consumer(configure: Configure, port: int) -> Iterator[Consumer]:
    """Run a bridge in a thread."""
    url = f"http-listen://127.0.0.1:{port}/events"
    found = Consumer(configure("web", url, token=TOKEN, **CONSUME))

    def run() -> None:
        found.run()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: found.vitals.idle_seconds() < 1, seconds=10, what="it runs")
    yield found
    found.stop()
    thread.join()


def test_an_event_is_stored_when_the_response_comes(consumer: Consumer, post: Post) -> None:
    body = event("a", 1)
    attributes = {f"ce-{name}": value for name, value in event("b", 1).items() if name != "data"}
    binary = attributes | {"Content-Type": "application/json"}

    assert post(body).status_code == 202
    assert Event.objects.count() == 1
    assert post(body).status_code == 202
    assert post({"key": "b", "text": "1"}, **binary).status_code == 202

    assert [each.data["key"] for each in Event.objects.order_by("id")] == ["a", "b"]


def test_a_wrong_event_is_parked_without_the_senders_token(consumer: Consumer, post: Post) -> None:
    wrong = event("a", 1) | {"data": {"key": 1}}
    assert post(wrong, Cookie=TOKEN, **{"X-Api-Key": TOKEN}).status_code == 202

    parked = ParkedMessage.objects.get()
    assert "Its data does not fit" in parked.reason
    assert TOKEN not in str(parked.headers)


@pytest.mark.parametrize(
    ("status", "changes"),
    [
        (401, {"Authorization": "Bearer another"}),
        (401, {"Authorization": ""}),
        (404, {"path": "/elsewhere"}),
        (413, {"body": b"x" * (2**20 + 1)}),
    ],
)
def test_other_requests_are_refused(
    consumer: Consumer, post: Post, status: int, changes: dict[str, Any]
) -> None:
    response = post(**{"body": event("a", 1)} | changes)

    assert response.status_code == status
    assert not ReceivedEvent.objects.exists()
    assert not ParkedMessage.objects.exists()


def test_more_connections_than_threads_are_closed(
    configure: Configure, port: int, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbook.bridges.sources.http.MOST_CONNECTIONS", 2)
    url = f"http-listen://127.0.0.1:{port}/events"
    consumer = Consumer(configure("web", url, token=TOKEN, **CONSUME))
    consumer.step()
    with ExitStack() as open_ones:
        for _ in range(2):
            open_ones.enter_context(socket.create_connection(("127.0.0.1", port)))
        with pytest.raises(httpx.HTTPError):
            post(event("a", 1))

    def is_refused() -> bool:
        try:
            return post(event("a", 1), Authorization="").status_code == 401
        except httpx.HTTPError:
            return False

    wait_for(is_refused, seconds=10, what="there is room again")
    consumer.source.close()


def test_a_server_without_a_token_does_not_start(configure: Configure) -> None:
    configure("web", "http-listen://127.0.0.1:9200/events", **CONSUME)

    texts = [finding.text for finding in diagnosis.findings()]
    assert "it has no token, so everybody could send events" in texts


def test_the_bridge_is_killed_under_load_and_nothing_is_lost_or_doubled(
    configure: Configure, processes: Processes, port: int, post: Post
) -> None:
    configure("web", f"http-listen://127.0.0.1:{port}/events", token=TOKEN, **CONSUME)
    running = [processes.start("consume", "web")]
    many = 200

    def send(number: int) -> None:
        def is_stored() -> bool:
            try:
                return post(event("a", number)).status_code == 202
            except httpx.HTTPError:
                return False

        wait_for(is_stored, seconds=60, what=f"{number} is stored")

    for number in range(many):
        send(number)
        if number in (50, 100, 150):
            processes.kill(running.pop())
            running.append(processes.start("consume", "web"))

    counted = Counter(each.data["behaviour"] for each in Event.objects.all())
    assert counted == Counter(str(number) for number in range(many))
    assert {each.type for each in Event.objects.all()} == {"probe.sent"}


def test_a_sender_that_goes_away_leaves_no_traceback(
    consumer: Consumer, port: int, post: Post, capfd: pytest.CaptureFixture[str]
) -> None:
    assert post(event("a", 1)).status_code == 202
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as sender:
            # Closing then resets the connection.
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sender.sendall(b"POST /events HTTP/1.1\r\n\r\n" * 100)
    wait_for(lambda: consumer.vitals.idle_seconds() < 1, seconds=10, what="it runs")
    time.sleep(0.5)

    assert "Traceback" not in capfd.readouterr().err
