"""Run a web process on the test database, and clients of its live streams."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from tests.harness.processes import (
    ROOT,
    environment,
    free_port,
    kill_group,
    killed_on_failure,
    wait_for,
)

PATH = "/api/v1/stream/"


class WebProcess:
    """The web process of fly.toml with one worker, on the test database."""

    def __init__(self, log: Path, **variables: str) -> None:
        self.port, self.log = free_port(), log
        self.url = f"http://127.0.0.1:{self.port}"
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "server"],
                cwd=ROOT,
                env=environment()
                | {
                    "DJANGO_SETTINGS_MODULE": "tests.settings",
                    "ALLOWED_HOSTS": "127.0.0.1",
                    "WEB_PORT": str(self.port),
                    "LOG_JSON": "1",
                    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                }
                | variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        with killed_on_failure(self.popen):
            wait_for(self.answers, seconds=40, what="the web process responds")

    def answers(self) -> bool:
        """Return whether the process responds."""
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/healthz", timeout=2).status_code == 200
        return False

    @property
    def worker(self) -> psutil.Process:
        """Return the child process that serves requests."""
        children = psutil.Process(self.popen.pid).children()
        # The other child is Python's resource tracker.
        (child,) = [each for each in children if "spawn_main" in " ".join(each.cmdline())]
        return child

    def stop(self) -> int:
        """Stop the process with SIGTERM, and return its exit code; kill it after 20 seconds."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout=20)
        except subprocess.TimeoutExpired:
            # Otherwise it would go on using the test database, and other tests would fail too.
            kill_group(self.popen)
            raise

    def lines(self, message: str) -> list[dict[str, Any]]:
        """Return the parsed log lines with this message."""
        text = self.log.read_text(errors="replace")
        made = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return [line for line in made if line["event"] == message]


@dataclass
class StreamEvent:
    """An event that a stream sent."""

    kind: str = ""
    id: str = ""
    data: Any = None


@dataclass
class Client:
    """A client of a stream, with the events received so far and the id to resume from."""

    web: WebProcess
    token: str
    last_id: str = ""
    events: list[StreamEvent] = field(default_factory=list)
    comments: int = 0
    opened: bool = False  # the stream has begun
    ended: bool = False

    def __enter__(self) -> Self:
        self._connection = http.client.HTTPConnection("127.0.0.1", self.web.port, timeout=60)
        headers = {"Authorization": f"Token {self.token}"}
        headers |= {"Last-Event-ID": self.last_id} if self.last_id else {}
        self._connection.request("GET", PATH, headers=headers)
        assert self._connection.sock is not None
        self._socket = self._connection.sock
        self.response = self._connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        wait_for(lambda: self.opened, seconds=10, what="the stream is open")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Close the connection without a goodbye, as a lost client does."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._connection.close()
        self._socket.close()

    def of(self, kind: str) -> list[Any]:
        """Return the data of all received events of a kind."""
        return [event.data for event in list(self.events) if event.kind == kind]

    def wait(self, kind: str, count: int = 1, *, seconds: float = 5) -> list[Any]:
        """Wait for `count` events of a kind, and return the data of all of that kind."""
        wait_for(
            lambda: len(self.of(kind)) >= count, seconds=seconds, what=f"{count} × {kind} came"
        )
        return self.of(kind)

    def _listen(self) -> None:
        event = StreamEvent()
        with suppress(OSError, http.client.HTTPException, ValueError, AttributeError):
            while line := self.response.readline().decode():
                name, _, text = line.rstrip("\n").partition(": ")
                if name == "event":
                    event.kind = text
                elif name == "id":
                    event.id = text
                elif name == "data":
                    event.data = json.loads(text)
                elif line == "\n":
                    self.last_id = event.id or self.last_id
                    if event.kind:
                        self.events.append(event)
                    event = StreamEvent()
                elif name == "retry":
                    self.opened = True
                else:
                    self.comments += 1
        self.ended = True


@contextmanager
def idle(web: WebProcess, token: str, count: int) -> Iterator[list[socket.socket]]:
    """Hold `count` streams open during the block, without reading them."""
    request = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {token}\r\n\r\n"
    sockets: list[socket.socket] = []
    try:
        for _ in range(count):
            sockets.append(socket.create_connection(("127.0.0.1", web.port), timeout=20))
            sockets[-1].sendall(request.encode())
        for each in sockets:
            seen = b""
            while b"id: " not in seen:
                piece = each.recv(4096)
                assert piece, seen
                seen += piece
        yield sockets
    finally:
        for each in sockets:
            each.close()
