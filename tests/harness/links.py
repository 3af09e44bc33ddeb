"""Links between a process and a server, which tests can cut, refuse, blackhole or slow down.

A *link* is a TCP proxy on the loopback interface, in front of the server's socket.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

from stack.embedded import PORT, Servers

CHUNK = 65_536


def link_to_postgresql() -> Link:
    """Return a new link to the test run's PostgreSQL."""
    return Link(Servers(settings.DATA_DIR).run / f".s.PGSQL.{PORT}")


class Link:
    """One link; its process connects to `port`. `target` is a Unix socket, or host and port."""

    def __init__(self, target: Path | tuple[str, int]) -> None:
        self.target = target
        self.port = 0
        self.delay_seconds = 0.0  # of what the process sends
        self._flowing = threading.Event()
        self._listener: socket.socket | None = None
        self._wires: set[Wire] = set()
        self._doomed: bytes | None = None
        self.swallowed = threading.Event()
        self.pass_on()

    def pass_on(self) -> None:
        """Let all traffic through from now on."""
        self._doomed = None
        self._flowing.set()
        if self._listener is None:
            self._listener = listener = socket.create_server(("127.0.0.1", self.port))
            self.port = listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def blackhole(self) -> None:
        """Forward nothing and close nothing, as if packets were dropped."""
        self._flowing.clear()

    def refuse(self) -> None:
        """Refuse new connections and close open ones, as if the server were gone."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # Wake the thread in accept(), which keeps the port.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """Close every open connection; new ones are accepted."""
        for wire in list(self._wires):
            wire.close()

    def cut_reply_to(self, words: bytes) -> None:
        """Close the next connection that sends these words, when the server's reply arrives."""
        self.swallowed.clear()
        self._doomed = words

    @contextmanager
    def broken(self, how: str) -> Iterator[None]:
        """Apply `refuse` or `blackhole` during the block."""
        getattr(self, how)()
        try:
            yield
        finally:
            self.pass_on()

    def close(self) -> None:
        """Close the link for good."""
        self._flowing.set()
        self.refuse()

    def _accept(self, listener: socket.socket) -> None:
        """Accept connections, and connect each to the server."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = connect(self.target)
            except OSError:
                client.close()
                continue
            wire = Wire(self, client, server)
            self._wires.add(wire)
            wire.start()

    def wait_flowing(self) -> None:
        """Wait until traffic may pass."""
        self._flowing.wait()

    def is_doomed(self, data: bytes) -> bool:
        """Return whether the reply to this data must be cut off; True only once."""
        if self._doomed is None or self._doomed not in data:
            return False
        self._doomed = None
        return True

    def forget(self, wire: Wire) -> None:
        """Remove a connection that has ended."""
        self._wires.discard(wire)


def connect(target: Path | tuple[str, int]) -> socket.socket:
    """Return a new connection to a Unix socket, or to host and port."""
    if not isinstance(target, Path):
        return socket.create_connection(target)
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(str(target))
    except OSError:
        server.close()
        raise
    return server


class Wire:
    """One connection through a link."""

    def __init__(self, link: Link, client: socket.socket, server: socket.socket) -> None:
        self.link, self.client, self.server = link, client, server
        self._doomed = False

    def start(self) -> None:
        """Start forwarding bytes both ways."""
        for pump in (self._upstream, self._downstream):
            threading.Thread(target=pump, daemon=True).start()

    def close(self) -> None:
        """Close the connection on both sides."""
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
        self.link.forget(self)

    def _upstream(self) -> None:
        """Forward bytes from the process to the server."""
        with contextlib.suppress(OSError):
            while data := self.client.recv(CHUNK):
                self.link.wait_flowing()
                time.sleep(self.link.delay_seconds)
                self._doomed = self._doomed or self.link.is_doomed(data)
                self.server.sendall(data)
        self.close()

    def _downstream(self) -> None:
        """Forward bytes from the server to the process; stop at a reply that must be cut off."""
        with contextlib.suppress(OSError):
            while data := self.server.recv(CHUNK):
                self.link.wait_flowing()
                if self._doomed:
                    self.link.swallowed.set()
                    break
                self.client.sendall(data)
        self.close()
