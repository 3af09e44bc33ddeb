"""A link between one process and one server, which the suite can cut, refuse or blackhole.

A TCP proxy on the loopback interface, in front of the server's Unix socket.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CHUNK = 65_536


class Link:
    """One link; `port` is where its process finds the server."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.port = 0
        self._flowing = threading.Event()
        self._listener: socket.socket | None = None
        self._wires: set[Wire] = set()
        self._doomed: bytes | None = None
        self.swallowed = threading.Event()
        self.pass_on()

    def pass_on(self) -> None:
        """This lets everything through, from now on."""
        self._doomed = None
        self._flowing.set()
        if self._listener is None:
            self._listener = listener = socket.create_server(("127.0.0.1", self.port))
            self.port = listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def blackhole(self) -> None:
        """This moves no byte any more, and closes nothing: as when packets are dropped."""
        self._flowing.clear()

    def refuse(self) -> None:
        """This refuses connections and ends those that are open: as when the server is gone."""
        listener, self._listener = self._listener, None
        if listener is not None:
            # A thread in accept() keeps the port until it is woken.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """This ends every open connection; new ones are let through."""
        for wire in list(self._wires):
            wire.close()

    def cut_reply_to(self, words: bytes) -> None:
        """This ends the next connection that sends these words once the server has answered."""
        self.swallowed.clear()
        self._doomed = words

    @contextmanager
    def broken(self, how: str) -> Iterator[None]:
        """This is `refuse` or `blackhole` while the block runs."""
        getattr(self, how)()
        try:
            yield
        finally:
            self.pass_on()

    def close(self) -> None:
        """This ends the link."""
        self._flowing.set()
        self.refuse()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                server.connect(str(self.target))
            except OSError:
                client.close()
                server.close()
                continue
            wire = Wire(self, client, server)
            self._wires.add(wire)
            wire.start()

    def wait_flowing(self) -> None:
        """This returns when bytes may move."""
        self._flowing.wait()

    def is_doomed(self, data: bytes) -> bool:
        """This says, once, that what is sent must not be answered."""
        if self._doomed is None or self._doomed not in data:
            return False
        self._doomed = None
        return True

    def forget(self, wire: Wire) -> None:
        """This drops a connection that ended."""
        self._wires.discard(wire)


class Wire:
    """One connection through a link."""

    def __init__(self, link: Link, client: socket.socket, server: socket.socket) -> None:
        self.link, self.client, self.server = link, client, server
        self._doomed = False

    def start(self) -> None:
        """This begins to move bytes both ways."""
        for pump in (self._upstream, self._downstream):
            threading.Thread(target=pump, daemon=True).start()

    def close(self) -> None:
        """This ends the connection on both sides."""
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()
        self.link.forget(self)

    def _upstream(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.client.recv(CHUNK):
                self.link.wait_flowing()
                self._doomed = self._doomed or self.link.is_doomed(data)
                self.server.sendall(data)
        self.close()

    def _downstream(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.server.recv(CHUNK):
                self.link.wait_flowing()
                if self._doomed:
                    self.link.swallowed.set()
                    break
                self.client.sendall(data)
        self.close()
