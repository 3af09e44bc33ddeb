"""Connections that go to checked addresses only, and that can be ended from another thread."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from requests import PreparedRequest
from requests_hardened.ip_filter_adapter import IPFilterAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from outside.addresses import is_trusted, origin
from outside.networks import require_public

_current = threading.local()


class Line:
    """The sockets of one fetch: `cut` ends it wherever it is, in a handshake or a header too.

    A timeout of each read alone would let a server drip for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def enter(self) -> None:
        """Make the line that of this thread's connections."""
        _current.line = self

    def watch(self, connected: socket.socket) -> None:
        """Keep a way to a socket that TLS takes over."""
        with self._lock:
            self._sockets.append(connected.dup())
        if self._is_cut:
            self.cut()

    def cut(self) -> None:
        """End everything that goes over the line."""
        with self._lock:
            self._is_cut = True
            for connected in self._sockets:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the sockets go."""
        with self._lock:
            for connected in self._sockets:
                connected.close()
            self._sockets.clear()


class _Watched(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        _current.line.watch(connected)
        return connected


class _WatchedTLS(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        _current.line.watch(connected)
        return connected


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class SafeAdapter(IPFilterAdapter):  # type: ignore[misc]  # the package has no types
    """An adapter that resolves a host once, refuses what isn't public, and connects to just that.

    So a name that resolves to another address a moment later changes nothing.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools whose connections can be cut."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Let operators' own services on the loopback interface be reached, and no others."""
        self._allow_loopback = is_trusted(*origin(request.url or ""))
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        require_public(host["host"].strip("[]"), or_loopback=self._allow_loopback)
        return host, options
