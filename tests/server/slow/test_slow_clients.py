"""Slow, silent and greedy clients stop nobody else; without its guard, each attack succeeds."""

from __future__ import annotations

import json
import select
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import pytest

from accounts.models import User
from cards.models import Card
from tests.harness.processes import wait_for
from tests.harness.web import PATH, WebProcess
from tests.library import notify, token_of
from tests.server.slow import clients
from tests.server.slow.clients import (
    ATTACKS,
    CARDS,
    EXPORT,
    LOGIN,
    Attack,
    Ordinary,
    Slow,
    answer_to,
    attacked,
    head,
    is_held,
    post,
)

pytestmark = pytest.mark.django_db(transaction=True)
MIB = 1024 * 1024
NEVER = "100000000"
LIMITS = {
    "HEAD_SECONDS": "1", "IDLE_SECONDS": "1.5", "BODY_GRACE_SECONDS": "1", "BODY_SECONDS": "3",
    "SEND_STALL_SECONDS": "1.5", "BODIES_MEMORY_BYTES": str(4 * MIB), "UNSENT_BYTES": str(8 * MIB),
    "WEB_CONNECTIONS": "600", "STREAMS_PER_PERSON": "50", "EXPORTS_PER_PERSON": "100",

}  # fmt: skip
UNLIMITED = dict.fromkeys(
    [
        *LIMITS, "HEAD_BYTES", "HEAD_FIELDS", "PIPELINED_REQUESTS", "BODY_BYTES", "BODY_BYTES_AUTH",
        "BODY_SPOOL_BYTES", "BODIES_BYTES", "EXPORTS_PER_PROCESS",
    ],
    NEVER,
)  # fmt: skip


@pytest.fixture(scope="module")
def web(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    with running(tmp_path_factory, LIMITS) as process:
        yield process


@pytest.fixture(scope="module")
def unguarded(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WebProcess]:
    """The same without limits, and without back-pressure."""
    settings = "tests.server.slow.unguarded"
    variables = UNLIMITED | {"DJANGO_SETTINGS_MODULE": settings, "UNGUARDED": "backpressure"}
    with running(tmp_path_factory, variables) as process:
        yield process


@contextmanager
def running(folder: pytest.TempPathFactory, variables: dict[str, str]) -> Iterator[WebProcess]:
    # One thread of Django's: whoever held it would hold up all.
    process = WebProcess(
        folder.mktemp("slow") / "web.log", WEB_THREADS="1", WEB_STOP_SECONDS="1", **variables
    )
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
def token(alice: User) -> str:
    return token_of(alice)


@pytest.fixture
def library(alice: User) -> int:
    """Cards of some 10 MB, as JSON."""
    Card.objects.bulk_create(
        Card(curator=alice, type="NOTE", text="a" * 20_000, title=f"{n}") for n in range(500)
    )
    return 10_000_000


# -- all at once ---------------------------------------------------------------------------------


def test_the_site_serves_others_as_before_while_it_is_attacked(
    web: WebProcess, token: str, library: int
) -> None:
    ordinary = Ordinary(web, token)
    quiet = ordinary.use(1.5)
    memory, files = web.worker.memory_info().rss, web.worker.num_fds()
    watched = Watched(web)

    with attacked(web, token, *ATTACKS), watched:
        busy = ordinary.use(5)

    assert ordinary.failed == []
    # The exports and pages that are asked for are work too; a site that is stopped takes longer.
    assert busy < max(20 * quiet, 5), (quiet, busy)
    assert watched.memory - memory < 112 * MIB
    assert watched.files - files < 600
    assert not web.lines("request.failed")


class Watched(threading.Thread):
    """The most memory and files that a web process has while the block runs."""

    def __init__(self, web: WebProcess) -> None:
        super().__init__(daemon=True)
        self.worker, self.memory, self.files = web.worker, 0, 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.1):
            self.memory = max(self.memory, self.worker.memory_info().rss)
            self.files = max(self.files, self.worker.num_fds())

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


# -- one by one: what the client is told, and that it is let go ------------------------------------


# What a client sends once, what it then sends again and again, and the status of the answer.
REFUSED = [
    (b"", b"", None),
    (b"", b"\r\n", None),
    (b"GET /healthz HTTP/1.1\r\nX-", b"a", 408),
    (post(LOGIN, "Content-Length: 16000") + b"{", b"", 408),
    (post(LOGIN, "Content-Length: 16000") + b"{", b" ", 408),
    (post(LOGIN, "Transfer-Encoding: chunked"), b"1\r\n \r\n", 408),
    (post(LOGIN, "Transfer-Encoding: chunked") + b"0\r\n", b"X-T: 1\r\n", 408),
    (post(LOGIN, "Content-Length: 2000000") + b"{", b"", 413),
    (post(LOGIN, "Transfer-Encoding: chunked") + b"1;" + b"a" * 400_000, b"", None),
    (post(LOGIN, "Transfer-Encoding: chunked") + b"0\r\nX: " + b"a" * 400_000, b"", None),
    (post(LOGIN, "Transfer-Encoding: chunked"), b"1000\r\n" + bytes(4096) + b"\r\n", 413),
    (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 200, b"", 431),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 40_000 + b"\r\nY: 1\r\n", b"", 431),
    (b"GET / HTTP/1.1\r\nX: ", b"a" * 20_000, 431),
    (b"GET /" + b"a" * 40_000, b"", 414),
    (b"\x16\x03\x01\x02\x00\x01\x00", b"", 400),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"", 400),
    (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"", 400),
    (head("/healthz"), b"", 200),
]
# The same, without the status, of clients that stay connected to a server without limits.
KEPT = [
    (b"", b""),
    (b"GET /healthz HTTP/1.1\r\nX-", b"a"),
    (post(LOGIN, "Content-Length: 2000000") + b"{", b" "),
    (post(LOGIN, "Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 5_000, b""),
]


@pytest.fixture(scope="module")
def answers(web: WebProcess) -> list[bytes]:
    """Return the answer to each client of REFUSED; some take seconds, so all connect at once."""
    with Slow(web) as slow, ThreadPoolExecutor(len(REFUSED)) as pool:
        return list(
            pool.map(lambda client: answer_to(slow.open(client[0], drip=client[1])), REFUSED)
        )


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_a_client_is_told_what_is_wrong_and_let_go(answers: list[bytes], number: int) -> None:
    answer, status = answers[number], REFUSED[number][2]

    if status is None:
        assert answer == b""
        return
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:300]
    if status != 200:
        beginning, _, body = answer.partition(b"\r\n\r\n")
        assert b"content-type: application/problem+json" in beginning.lower()
        assert json.loads(body)["status"] == status


@pytest.fixture(scope="module")
def held(unguarded: WebProcess) -> list[bool]:
    """Return whether each client of KEPT is connected after 2.5 seconds, without an answer."""
    with Slow(unguarded) as slow, ThreadPoolExecutor(len(KEPT)) as pool:
        return list(
            pool.map(lambda client: is_held(slow.open(client[0], drip=client[1]), 2.5), KEPT)
        )


@pytest.mark.parametrize("number", range(len(KEPT)))
def test_without_limits_such_clients_stay(held: list[bool], number: int) -> None:
    assert held[number], KEPT[number]


@pytest.mark.parametrize("attack", [clients.reads_no_export, clients.reads_no_page])
def test_who_reads_nothing_is_held_back_and_let_go(
    web: WebProcess, token: str, library: int, attack: Attack
) -> None:
    before = web.worker.memory_info().rss
    watched = Watched(web)

    with attacked(web, token, attack), watched:
        # The web process may accept the last connections later than the clients have sent all.
        wait_for(
            lambda: web.worker.num_fds() < watched.files - 10, seconds=30, what="they are let go"
        )

    assert watched.memory - before < 80 * MIB


def test_without_back_pressure_who_reads_nothing_takes_the_memory(
    unguarded: WebProcess, token: str, library: int
) -> None:
    before = unguarded.worker.memory_info().rss

    with attacked(unguarded, token, clients.reads_no_export):
        wait_for(
            lambda: unguarded.worker.memory_info().rss - before > 128 * MIB,
            seconds=20, what="memory is full of what nobody reads",
        )  # fmt: skip


def test_a_slow_reader_gets_all_of_it(web: WebProcess, token: str, library: int) -> None:
    with Slow(web) as slow:
        reader = slow.open(head(EXPORT, "Connection: close", token=token), reads=False)
        time.sleep(0.5)
        answer = answer_to(reader, 30)

    assert len(answer) > library
    assert answer.endswith(b"0\r\n\r\n")


def test_bodies_that_are_kept_open_are_on_disk(web: WebProcess, token: str) -> None:
    before = web.worker.memory_info().rss
    watched = Watched(web)

    with attacked(web, token, clients.large_silent_body, clients.large_silent_body), watched:
        time.sleep(0.8)

    assert watched.memory - before < 24 * MIB


def test_without_limits_bodies_that_are_kept_open_take_the_memory(
    tmp_path_factory: pytest.TempPathFactory, token: str
) -> None:
    # A process of its own: another would first reuse the memory that it has kept since an attack.
    with running(tmp_path_factory, UNLIMITED) as web:
        before = web.worker.memory_info().rss

        with attacked(web, token, clients.large_silent_body, clients.large_silent_body):
            wait_for(
                lambda: web.worker.memory_info().rss - before > 48 * MIB,
                seconds=30, what="memory is full of bodies without end",
            )  # fmt: skip


def test_more_bodies_than_the_process_holds_are_refused_for_a_while(
    tmp_path_factory: pytest.TempPathFactory, token: str
) -> None:
    variables = {"BODIES_BYTES": str(3 * MIB), "WEB_CONNECTIONS": "8"}
    with running(tmp_path_factory, variables) as web:
        large = post(CARDS, "Content-Length: 1048576", token=token)
        with Slow(web) as slow:
            opened = [slow.open(large + bytes(1_000_000)) for _ in range(4)]
            # The process reads from all at once: any of them can be the one that is too much.
            answered, _, _ = select.select(opened, [], [], 30)
            refused = answer_to(answered[0])

            assert refused.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 5" in refused.lower()
            assert httpx.get(f"{web.url}/healthz").status_code == 200

        # Of more connections than there may be, the idle ones go.
        with Slow(web) as slow:
            first, *_ = [slow.open() for _ in range(20)]
            assert httpx.get(f"{web.url}/healthz").status_code == 200
            assert not is_held(first, 20)


# -- what else must not happen ---------------------------------------------------------------------


def test_what_comes_after_a_body_passes_for_no_header(web: WebProcess) -> None:
    chunked = head("/healthz", "Transfer-Encoding: chunked", "Trailer: X-Request-ID", method="GET")
    with Slow(web) as slow:
        answer = answer_to(slow.open(chunked + b"1\r\n \r\n0\r\nX-Request-ID: mine\r\n\r\n"))

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"mine" not in answer


def test_a_body_in_chunks_is_taken(web: WebProcess, token: str) -> None:
    body: list[Any] = [b'{"type": "NOTE", ', b'"text": "In parts."}']

    answer = httpx.post(
        web.url + CARDS, content=iter(body),
        headers={"Authorization": f"Token {token}", "Content-Type": "application/json"},
    )  # fmt: skip

    assert answer.status_code == 201, answer.text
    assert answer.json()["text"] == "In parts."


def test_large_files_are_taken_from_people_only(web: WebProcess, token: str) -> None:
    begun = "Content-Type: multipart/form-data; boundary=b", "Content-Length: 3000000"
    with Slow(web) as slow:
        for wrong in ("", "f" * 64, "\xe4"):
            refused = answer_to(
                slow.open(head("/api/v1/imports/", *begun, method="POST", token=wrong) + b"-")
            )
            assert refused.startswith(b"HTTP/1.1 401 "), refused
            assert b"www-authenticate: token" in refused.lower()
        known = slow.open(head("/api/v1/imports/", *begun, method="POST", token=token) + b"-")
        assert answer_to(known).startswith(b"HTTP/1.1 408 ")


def test_a_stream_before_other_requests_ends_with_its_client(
    web: WebProcess, token: str, alice: User, bob: User
) -> None:
    closed = len(web.lines("stream.closed"))
    with Slow(web) as slow:
        opened = [slow.open(head(PATH, token=token) + head("/healthz")) for _ in range(3)]
        assert all(each.recv(12) for each in opened)

    def all_are_closed() -> bool:
        notify(alice, bob)
        return len(web.lines("stream.closed")) == closed + 3

    wait_for(all_are_closed, seconds=10, what="the streams are closed")


def test_one_person_downloads_a_few_files_at_once(
    tmp_path_factory: pytest.TempPathFactory, token: str, library: int
) -> None:
    with running(tmp_path_factory, {"EXPORTS_PER_PERSON": "2"}) as web:
        with Slow(web) as slow:
            for _ in range(2):
                assert slow.open(head(EXPORT, token=token), reads=False).recv(12)
            refused = httpx.get(web.url + EXPORT, headers={"Authorization": f"Token {token}"})
        assert refused.status_code == 429
        assert refused.headers["Retry-After"] == "10"
        wait_for(partial(may_download, web, token), seconds=30, what="there is room again")


def may_download(web: WebProcess, token: str) -> bool:
    headers = {"Authorization": f"Token {token}"}
    return httpx.head(web.url + EXPORT, headers=headers).status_code == 200
