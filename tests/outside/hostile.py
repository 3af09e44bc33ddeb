"""A server on the loopback interface that does what servers must not do."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

PAGE = b"<html><head><title>A page</title></head></html>"
DRIP_SECONDS = 0.05
BOMBS = ((200_000_000, 1), (50_000_000, 3))  # zeros, and how often they are packed
LONGEST = 10.0  # seconds that a behaviour goes on if nobody ends it

Send = Callable[[bytes], None]

NOT_THE_WEB = "This is not a web address; it should look like https://example.org/page."
NOT_FETCHED = "Only http and https addresses are fetched."
NOT_PUBLIC = "The address is not on the public internet."
TOO_LONG = "The address is longer than 4096 characters."
# Addresses that nothing is ever fetched from, by the reason that is given.
REFUSED: dict[str, tuple[str, ...]] = {
    NOT_THE_WEB: (
        *("", "example.org", "//example.org/", "http://", "http://[", "http://a b/"),
        *("http://exa%00mple.org/", "http://example.org:65536/"),
    ),
    NOT_FETCHED: (
        *(
            "ftp://example.org/",
            "file:///etc/passwd",
            "gopher://example.org/",
            "javascript:alert(1)",
        ),
        *("data:text/html,x", "dict://127.0.0.1:11211/"),
    ),
    TOO_LONG: ("http://" + "a" * 5000,),
    # Where other things than web servers listen.
    "Nothing is fetched from port 22.": ("http://example.org:22/",),
    "Nothing is fetched from port 25.": ("http://example.com:25/",),
    "Nothing is fetched from port 6379.": ("http://example.net:6379/",),
    "Nothing is fetched from port 5432.": ("https://example.edu:5432/",),
    "Nothing is fetched from port 0.": ("http://a.example:0/",),
    NOT_PUBLIC: (
        # This machine, in every spelling.
        *("http://127.0.0.1/", "http://127.1/", "http://127.0.1/", "http://0x7f.1/"),
        *("http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://0177.0.0.1/"),
        *(
            "http://localhost/",
            "http://LOCALHOST/",
            "http://0.0.0.0/",
            "http://0/",
            "http://[::1]/",
        ),
        *("http://[::]/", "http://[0:0:0:0:0:0:0:1]/", "http://[::ffff:127.0.0.1]/"),
        *("http://[::ffff:7f00:1]/", "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/"),
        *("http://[::127.0.0.1]/", "http://user@127.0.0.1/", "http://example.org@127.0.0.1/"),
        *("http://127.0.0.1#@example.org/", "http://127.255.255.254/"),
        # The networks around it.
        *("http://10.0.0.1/", "http://10.255.255.255/", "http://172.16.0.1/"),
        *("http://172.31.255.255/", "http://192.168.0.1/", "http://192.168.255.255/"),
        *("http://100.64.0.1/", "http://169.254.0.1/", "http://169.254.169.254/latest/meta-data/"),
        *("http://[fd00:ec2::254]/", "http://[fe80::1]/", "http://[fc00::1]/", "http://[fdaa::3]/"),
        "http://[fec0::1]/",
        # Ways around by other protocols, and addresses that are nobody's.
        *("http://[64:ff9b::7f00:1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:7f00:1::]/"),
        *("http://[64:ff9b:1::1]/", "http://[2001::1]/", "http://192.88.99.1/"),
        *("http://[::ffff:0:0]/", "http://[::ffff:10.0.0.1]/", "http://[::ffff:169.254.169.254]/"),
        # IPv4-translated and -compatible, mapped with a zone, and networks that no list names.
        *("http://[::ffff:0:127.0.0.1]/", "http://[::ffff:0:7f00:1]/", "http://[::1:127.0.0.1]/"),
        *("http://[0:0:0:0:ffff:0:a9fe:a9fe]/", "http://[1::1]/", "http://[4000::1]/"),
        *("http://[3fff::1]/", "http://[2001:10::1]/", "http://[8000::]/", "http://[64:ff9c::1]/"),
        *("http://192.31.196.1/", "http://192.175.48.1/"),
        *("http://[5f00::1]/", "http://224.0.0.1/", "http://[ff02::1]/", "http://255.255.255.255/"),
        *("http://240.0.0.1/", "http://192.0.2.1/", "http://198.51.100.1/", "http://203.0.113.1/"),
        *("http://198.18.0.1/", "http://[2001:db8::1]/", "http://192.0.0.1/", "http://[100::1]/"),
    ),
}


def answer(send: Send, *headers: str, body: bytes = PAGE, status: str = "200 OK") -> None:
    """Send a complete response."""
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]
    send("\r\n".join(lines).encode("latin-1") + body)


def drip(send: Send, text: bytes) -> None:
    """Send a little at a time, until the client hangs up."""
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        send(text)
        time.sleep(DRIP_SECONDS)


def endless(send: Send) -> None:
    """Send a page that never ends."""
    answer(send, "Content-Type: text/html", body=b"")
    until = time.monotonic() + LONGEST
    while time.monotonic() < until:
        send(b"x" * 65536)


def slow_body(send: Send) -> None:
    """Send a page byte by byte."""
    answer(send, "Content-Type: text/html", "Content-Length: 100000", body=b"")
    drip(send, b"x")


def slow_header(send: Send) -> None:
    """Send headers that never end."""
    send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    drip(send, b"x")


def many_headers(send: Send) -> None:
    """Send more headers than a client accepts."""
    send(b"HTTP/1.1 200 OK\r\n" + b"X-Header: x\r\n" * 100_000)


@cache
def packed_zeros(count: int, times: int) -> bytes:
    """Return zeros, compressed `times` times; cached, because compressing takes long."""
    packed = bytes(count)
    for _ in range(times):
        packed = gzip.compress(packed, 6)
    return packed


def bomb(send: Send) -> None:
    """Send a few kilobytes that decompress to 200 megabytes."""
    packed = packed_zeros(*BOMBS[0])
    answer(send, "Content-Type: text/html", "Content-Encoding: gzip", body=packed)


def nested_bomb(send: Send) -> None:
    """Send a decompression bomb that is compressed three times."""
    packed = packed_zeros(*BOMBS[1])
    answer(send, "Content-Type: text/html", "Content-Encoding: gzip, gzip, gzip", body=packed)


def to(where: str) -> Callable[[Send], None]:
    """Return a behaviour that redirects the client to this address."""
    return lambda send: answer(send, f"Location: {where}", status="302 Found", body=b"")


BEHAVIOURS: dict[str, Callable[[Send], None]] = {
    "/page": lambda send: answer(
        send, "Content-Type: text/html; charset=utf-8", "Set-Cookie: a=b", 'ETag: "1"'
    ),
    "/unchanged": lambda send: answer(send, 'ETag: "1"', status="304 Not Modified", body=b""),
    "/pdf": lambda send: answer(send, "Content-Type: application/pdf", body=b"%PDF-1.7"),
    "/gone": lambda send: answer(send, status="410 Gone"),
    "/busy": lambda send: answer(send, "Retry-After: 120", status="429 Too Many Requests"),
    "/untyped": answer,
    "/endless": endless,
    "/slow-body": slow_body,
    "/slow-header": slow_header,
    "/silent": lambda send: time.sleep(LONGEST),
    "/many-headers": many_headers,
    "/bomb": bomb,
    "/nested-bomb": nested_bomb,
    "/huge": lambda send: answer(send, "Content-Type: text/html", "Content-Length: 99999999999"),
    "/film": lambda send: answer(send, "Content-Type: video/mp4", "Content-Length: 99999999999"),
    "/no-number": lambda send: answer(send, "Content-Type: text/html", "Content-Length: many"),
    "/broken-off": lambda send: answer(send, "Content-Type: text/html", "Content-Length: 999"),
    "/not-gzip": lambda send: answer(
        send, "Content-Type: text/html", "Content-Encoding: gzip", body=b"not packed at all"
    ),
    "/not-http": lambda send: send(b"220 mail.example.org ESMTP\r\n"),
    "/loop": to("/loop"),
    "/once": to("/page"),
    "/to-metadata": to("http://169.254.169.254/latest/meta-data/"),
    "/to-private": to("http://10.0.0.1/"),
    "/to-port": to("http://example.org:6379/"),
    "/to-file": to("file:///etc/passwd"),
    "/to-script": to("javascript:alert(1)"),
    "/to-nowhere": to("http://[/"),
}


class Hostile:
    """The server: `requests` has what it was sent, in order."""

    def __init__(self) -> None:
        for count, times in BOMBS:
            packed_zeros(count, times)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.requests: list[str] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def url(self, path: str) -> str:
        """Return the address of a behaviour."""
        return f"http://127.0.0.1:{self.port}{path}"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connected, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(connected,), daemon=True).start()

    def _answer(self, connected: socket.socket) -> None:
        with connected, suppress(OSError):
            connected.settimeout(LONGEST)
            request = b""
            while b"\r\n\r\n" not in request and (part := connected.recv(65536)):
                request += part
            self.requests.append(request.decode("latin-1"))
            path = self.requests[-1].split(" ")[1] if " " in self.requests[-1] else ""
            if behave := BEHAVIOURS.get(path):
                behave(connected.sendall)


@contextmanager
def running() -> Iterator[Hostile]:
    """Run the server during the block."""
    server = Hostile()
    try:
        yield server
    finally:
        server.listener.close()
