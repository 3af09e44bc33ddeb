"""HTTP connections, only to checked IP addresses, that another thread can cut."""

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


class FetchSockets:
    """The sockets of one fetch; `cut` ends it at any point, even in a TLS handshake or a header.

    A timeout of each read is not enough: a server may send one byte at a time for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._is_cut = False

    def enter(self) -> None:
        """Watch the sockets that the current thread opens from now on."""
        _current.sockets = self

    def watch(self, connected: socket.socket) -> None:
        """Keep a duplicate of a socket, because TLS replaces the original."""
        with self._lock:
            duplicate = connected.dup()
            self._sockets.append(duplicate)
            if self._is_cut:
                _shut_down(duplicate)

    def cut(self) -> None:
        """Shut down all sockets of the fetch, and those it opens later."""
        with self._lock:
            self._is_cut = True
            for duplicate in self._sockets:
                _shut_down(duplicate)

    def close(self) -> None:
        """Free the duplicates' descriptors after the fetch; the originals belong to requests."""
        with self._lock:
            for duplicate in self._sockets:
                duplicate.close()
            self._sockets.clear()


def _shut_down(connected: socket.socket) -> None:
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)


class _Watched(HTTPConnection):
    """A connection whose socket is registered with the fetch of its thread."""

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        _current.sockets.watch(connected)
        return connected


class _WatchedTLS(_Watched, HTTPSConnection):
    """A watched connection for https."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class SafeAdapter(IPFilterAdapter):  # type: ignore[misc]  # the package has no types
    """An adapter that resolves a host once, checks the IP address, and connects to that address.

    So DNS rebinding fails: if the name resolves to another address a moment later, nothing changes.
    """

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Create a pool manager whose connections can be cut."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def build_connection_pool_key_attributes(
        self, request: PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Refuse a host that is not public, except the operators' services in FETCH_TRUSTED."""
        self._allow_loopback = is_trusted(*origin(request.url or ""))
        host, options = super().build_connection_pool_key_attributes(request, verify, cert)
        require_public(host["host"].strip("[]"), or_loopback=self._allow_loopback)
        return host, options
