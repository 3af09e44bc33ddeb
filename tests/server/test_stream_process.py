"""A web process that holds streams: how it stops, what it tells of them, what it does for them."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.utils.module_loading import autodiscover_modules

from accounts.models import User
from eventbook.models import Process
from eventbook.observe.vitals import Vitals
from eventbook.stream import Hub, hub, polling, sources, streams
from tests.harness.processes import wait_for
from tests.harness.web import Client, WebProcess, idle
from tests.library import notify, token_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def web(transactional_db: None, tmp_path: Path) -> Iterator[WebProcess]:
    running = WebProcess(tmp_path / "web.log", PROCESS_NAME="web", STREAMS_PER_PERSON="50")
    yield running
    if running.popen.poll() is None:
        running.stop()


def test_a_process_with_streams_is_counted_and_stops_at_once(web: WebProcess, alice: User) -> None:
    token = token_of(alice)

    with idle(web, token, 40), Client(web, token) as client, half_sent(web, token) as posting:
        wait_for(lambda: counted(web) == 41, seconds=15, what="the streams are counted")
        began = time.monotonic()
        web.popen.send_signal(signal.SIGTERM)
        wait_for(lambda: client.ended, seconds=2, what="the client knows")
        posting.sendall(b'"type": "NOTE", "text": "In time."}')
        answer = posting.recv(4096)
        code = web.popen.wait(10)
        took = time.monotonic() - began

    assert answer.startswith(b"HTTP/1.1 201 ")
    assert code == 0
    assert took < 3
    assert len(web.lines("stream.closed")) == 41
    assert not Process.objects.filter(group="web").exists()


@contextmanager
def half_sent(web: WebProcess, token: str) -> Iterator[socket.socket]:
    """Send the head of a request and one of its 36 bytes, and yield the connection."""
    head = (
        "POST /api/v1/cards/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Token {token}\r\nContent-Length: 36\r\n\r\n{{"
    )
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as posting:
        posting.sendall(head.encode())
        yield posting


def counted(web: WebProcess) -> float:
    text = httpx.get(f"{web.url}/metrics").text
    return next(
        float(line.split()[1]) for line in text.splitlines() if line.startswith("sse_streams ")
    )


# -- in this process, on the real database -------------------------------------------------------


class Ear:
    """A client without a connection: what it is sent, and whether it takes anything."""

    def __init__(self, *, takes: bool = True) -> None:
        self.heard: list[bytes] = []
        self.takes = takes

    async def send(self, piece: bytes) -> None:
        """Receive a piece; then wait for ever if the client takes nothing more."""
        self.heard.append(piece)
        if not self.takes:
            await asyncio.Event().wait()

    @property
    def text(self) -> str:
        """Return all received text."""
        return b"".join(self.heard).decode()


Listening = Callable[..., Ear]


@pytest.fixture
def credentials() -> set[str]:
    """Return the credentials that are valid; a test may revoke them."""
    return {"c"}


@pytest.fixture
def listening(transactional_db: None, credentials: set[str]) -> Iterator[Listening]:
    """Return a function that opens streams of a hub in this process."""
    autodiscover_modules("streams")
    running = Hub(
        still_valid=credentials.intersection, render=lambda data: str(data).encode(),
        per_person=9, most=900, vitals=Vitals(),
    )  # fmt: skip
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    open_streams: list[Any] = []

    def listening(person: int, last_id: str = "", *, takes: bool = True) -> Ear:
        ear = Ear(takes=takes)
        stream = running.admit(person_id=person, credential="c", last_event_id=last_id)
        running_it = running.run(stream, ear.send, asyncio.Event().wait())  # type: ignore[arg-type]
        open_streams.append(asyncio.run_coroutine_threadsafe(running_it, loop))
        return ear

    listening.streams = open_streams  # type: ignore[attr-defined]
    yield listening
    running.close()
    for each in open_streams:
        each.result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_a_silent_stream_shows_that_it_lives_and_where_to_resume(
    listening: Listening, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "HEARTBEAT_SECONDS", 0.2)

    ear = listening(alice.pk)

    wait_for(lambda: ear.text.count(": still here") == 2, seconds=5, what="two heartbeats came")
    opening, *beats = ear.text.strip().split("\n\n")
    assert opening.splitlines()[0] == "retry: 2000"
    assert all(beat.splitlines()[1].startswith("id: ") for beat in beats)


def test_a_client_that_takes_nothing_is_dropped(
    listening: Listening, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_WAITING", 3)
    ear = listening(alice.pk, takes=False)
    wait_for(lambda: ear.heard, seconds=5, what="it has begun")
    (stream,) = listening.streams  # type: ignore[attr-defined]

    notify(alice, bob, 10)

    wait_for(stream.done, seconds=5, what="it was dropped")


def test_many_streams_take_turns_and_none_misses_what_comes_late(
    listening: Listening, alice: User, bob: User, charlie: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "FULL_POLLS_AT_ONCE", 1)
    # Nothing has a recent key: only full looks find it.
    monkeypatch.setattr(polling, "RECENT_SECONDS", -60)
    ears = {person: listening(person.pk) for person in (alice, bob, charlie)}
    for ear in ears.values():
        wait_for(lambda: ear.heard, seconds=5, what="it has begun")  # noqa: B023

    for person in ears:
        notify(person, bob)
        notify(person, bob)

    for ear in ears.values():
        wait_for(lambda: notifications_of(ear) == 2, seconds=5, what="each was told")  # noqa: B023
    time.sleep(2 * hub.POLL_SECONDS)
    assert [notifications_of(ear) for ear in ears.values()] == [2, 2, 2]


def notifications_of(ear: Ear) -> int:
    return ear.text.count("event: notification")


def test_a_source_that_fails_is_logged_and_what_it_had_comes_later(
    listening: Listening,
    alice: User,
    bob: User,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ear = listening(alice.pk)
    wait_for(lambda: ear.heard, seconds=5, what="it has begun")
    working = sources.changes

    def failing(*_: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(polling, "changes", failing)
    notify(alice, bob)
    wait_for(lambda: "stream.look_failed" in caplog.text, seconds=5, what="it is logged")
    monkeypatch.setattr(polling, "changes", working)

    wait_for(lambda: notifications_of(ear) == 1, seconds=5, what="it is told")


def test_a_source_that_fails_keeps_no_stream_of_a_revoked_credential_open(
    listening: Listening, credentials: set[str], monkeypatch: pytest.MonkeyPatch, alice: User
) -> None:
    broken = sources.Source(name="broken", changes_sql="SELECT 1 / 0", load_data=lambda pairs: {})
    monkeypatch.setitem(sources.sources, "broken", broken)
    listening(alice.pk)

    credentials.clear()

    (stream,) = listening.streams  # type: ignore[attr-defined]
    wait_for(stream.done, seconds=hub.CHECK_SECONDS + 10, what="the stream has ended")
