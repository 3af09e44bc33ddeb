"""Clients that are slow, silent, greedy or no clients at all, and an ordinary one beside them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self

import httpx

from tests.harness.processes import wait_for
from tests.harness.web import PATH, WebProcess

CARDS = "/api/v1/cards/"
LOGIN = "/api/v1/auth/login/"
EXPORT = "/api/v1/exports/?format=json"


def head(path: str, *headers: str, method: str = "GET", token: str = "") -> bytes:
    """Return the head of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers]
    if token:
        lines.append(f"Authorization: Token {token}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def post(path: str, *headers: str, token: str = "") -> bytes:
    """Return the head of a POST of JSON."""
    return head(path, "Content-Type: application/json", *headers, method="POST", token=token)


class Slow:
    """Connections that do what an attacker wants, until they are closed."""

    def __init__(self, web: WebProcess) -> None:
        self.web, self.sockets = web, list[socket.socket]()
        self._dripping = dict[socket.socket, bytes]()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._drip, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self.sockets:
            each.close()

    def open(self, sent: bytes = b"", *, drip: bytes = b"", reads: bool = True) -> socket.socket:
        """Connect and send this, and then the same bytes again and again."""
        connection = socket.socket()
        if not reads:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", self.web.port))
        self.sockets.append(connection)
        with suppress(OSError):
            connection.sendall(sent)
        if drip:
            self._dripping[connection] = drip
        return connection

    def _drip(self) -> None:
        while not self._over.wait(0.2):
            for connection, drip in list(self._dripping.items()):
                try:
                    connection.sendall(drip)
                except OSError:
                    self._dripping.pop(connection, None)


def answer_to(connection: socket.socket, seconds: float = 15) -> bytes:
    """Return all that the server sends until it closes; raise TimeoutError if it doesn't."""
    deadline = time.monotonic() + seconds
    heard = b""
    with suppress(ConnectionError):
        while True:
            connection.settimeout(max(0.01, deadline - time.monotonic()))
            if not (piece := connection.recv(65536)):
                break
            heard += piece
    return heard


def is_held(connection: socket.socket, seconds: float) -> bool:
    """Return whether the connection is still open after so many seconds, with nothing said."""
    connection.settimeout(seconds)
    try:
        connection.recv(1)
    except TimeoutError:
        return True
    except ConnectionError:
        return False
    return False


@dataclass
class Ordinary:
    """A user of the site meanwhile, with the seconds of each request and the failures."""

    web: WebProcess
    token: str
    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def use(self, seconds: float) -> float:
        """Use the site for so long; return the 99th percentile of the seconds that it took."""
        self.took.clear()
        headers = {"Authorization": f"Token {self.token}"}
        until = time.monotonic() + seconds
        with httpx.Client(base_url=self.web.url, headers=headers, timeout=8) as client:
            number = 0
            while time.monotonic() < until:
                number += 1
                began = time.monotonic()
                try:
                    answer = self._ask(client, number)
                    if answer.status_code not in {200, 201}:
                        self.failed.append(str(answer.status_code))
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                self.took.append(time.monotonic() - began)
                time.sleep(0.01)
        return sorted(self.took)[int(len(self.took) * 0.99)]

    def _ask(self, client: httpx.Client, number: int) -> httpx.Response:
        if number % 3 == 0:
            return client.post(CARDS, json={"type": "NOTE", "text": f"Note {number}"})
        return client.get("/healthz" if number % 3 == 1 else "/api/v1/notifications/")


Attack = Callable[[Slow, str], object]


def says_nothing(slow: Slow, token: str) -> None:
    for _ in range(40):
        slow.open()


def head_without_end(slow: Slow, token: str) -> None:
    for _ in range(20):
        slow.open(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-", drip=b"a")


def bare_newlines(slow: Slow, token: str) -> None:
    for _ in range(10):
        slow.open(drip=b"\r\n")


def silent_body(slow: Slow, token: str) -> None:
    for _ in range(10):
        slow.open(post(LOGIN, "Content-Length: 2000000") + b"{")
        slow.open(post(LOGIN, "Content-Length: 16000") + b"{")
        slow.open(post(CARDS, "Content-Length: 1000000", token=token) + b"{")


def large_silent_body(slow: Slow, token: str) -> None:
    for path in (LOGIN, CARDS):
        for _ in range(20):
            slow.open(post(path, "Content-Length: 1048576", token=token) + bytes(1_000_000))


def dripping_body(slow: Slow, token: str) -> None:
    for _ in range(10):
        slow.open(post(CARDS, "Content-Length: 100000", token=token), drip=b" ")


def chunks_without_end(slow: Slow, token: str) -> None:
    for _ in range(10):
        chunked = post(CARDS, "Transfer-Encoding: chunked", token=token)
        slow.open(chunked, drip=b"1\r\n \r\n")
        slow.open(chunked, drip=b"4000\r\n" + bytes(0x4000) + b"\r\n")


def trailers_without_end(slow: Slow, token: str) -> None:
    begun = post(CARDS, "Transfer-Encoding: chunked", token=token) + b"2\r\n{}\r\n0\r\n"
    for _ in range(10):
        slow.open(begun, drip=b"X-Trailer: 1\r\n")


def idle_after_a_request(slow: Slow, token: str) -> None:
    for _ in range(20):
        slow.open(head("/healthz"))


def pipelined(slow: Slow, token: str) -> None:
    for _ in range(5):
        slow.open(head(CARDS, token=token) * 2_000, reads=False)


def no_http(slow: Slow, token: str) -> None:
    hello = bytes.fromhex("16030102000100") + bytes(200)
    for garbage in (hello, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00" * 5000, b"SSH-2.0-x\r\n"):
        slow.open(garbage)


def many_headers(slow: Slow, token: str) -> None:
    for _ in range(5):
        slow.open(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5_000)))
        slow.open(b"GET / HTTP/1.1\r\nX: " + b"a" * 400_000)
        slow.open(b"GET /" + b"a" * 400_000)


def reads_no_export(slow: Slow, token: str) -> None:
    for _ in range(30):
        slow.open(head(EXPORT, token=token), reads=False)


def reads_no_page(slow: Slow, token: str) -> None:
    for _ in range(20):
        slow.open(head(f"{CARDS}?page_size=100", token=token), reads=False)


def reads_no_stream(slow: Slow, token: str) -> None:
    for _ in range(5):
        slow.open(head(PATH, token=token), reads=False)


ATTACKS: list[Attack] = [
    says_nothing, head_without_end, bare_newlines, silent_body, large_silent_body, dripping_body,
    chunks_without_end, trailers_without_end, idle_after_a_request, pipelined, no_http,
    many_headers, reads_no_export, reads_no_page, reads_no_stream,
]  # fmt: skip


@contextmanager
def attacked(web: WebProcess, token: str, *attacks: Attack) -> Iterator[Slow]:
    """Attack in all these ways while the block runs, and wait until the server is rid of it."""
    before = web.worker.num_fds()
    with Slow(web) as slow:
        for attack in attacks:
            attack(slow, token)
        yield slow
    wait_for(lambda: web.worker.num_fds() <= before + 5, seconds=15, what="all files are closed")
