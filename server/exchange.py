"""One request and its response: translated from ASGI to WSGI (PEP 3333), read piece by piece.

Each piece of a streamed response may be produced in another thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

from django.conf import settings
from django.db import close_old_connections

from eventbook.stream import Hub, Stream
from server.asgi import Scope
from server.bodies import Body
from server.stream import HUB, STREAM

# The size of a piece of a streamed response, in bytes. Between two pieces, the thread serves other
# requests.
PIECE = 256 * 1024

Application = Callable[..., Any]  # a WSGI application that returns Django's responses


class Exchange:
    """A request whose body is complete, and Django's response to it."""

    def __init__(self, scope: Scope, body: Body) -> None:
        self.scope, self.body = scope, body
        self.status, self.headers = 500, list[tuple[str, str]]()
        self.stream: Stream | None = None
        self._response: Any = None
        self._parts: Iterator[bytes] | None = None

    def begin(self, application: Application, hub: Hub) -> bytes:
        """Run Django's view; return the response's body, or the first piece of a streamed one."""
        environ = environ_of(self.scope, self.body) | {HUB: hub}
        self._response = application(environ, self._start)
        self.stream = environ.get(STREAM)
        if self.stream is None and self._response.streaming and self.scope["method"] != "HEAD":
            self._parts = iter(self._response)
            return self.next_piece()
        content = b"" if self._response.streaming else self._response.content
        self.close()
        return bytes(content)

    @property
    def has_more(self) -> bool:
        """Whether a streamed response has further pieces."""
        return self._parts is not None

    def next_piece(self) -> bytes:
        """Return the next piece of a streamed response; close the response after the last one."""
        gathered = bytearray()
        try:
            for part in self._parts or ():
                gathered += part
                if len(gathered) >= PIECE:
                    return bytes(gathered)
            self.close()
        except Exception:
            self.close()
            raise
        finally:
            # Returns the connections to their pool: another thread may produce the next piece.
            close_old_connections()
        return bytes(gathered)

    def close(self) -> None:
        """Close Django's response, whether or not all of it was read."""
        self._parts = None
        if self._response is not None:
            self._response.close()
            self._response = None

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
        self.status, self.headers = int(status[:3]), headers


def environ_of(scope: Scope, body: Body) -> dict[str, Any]:
    """Return the WSGI environ of a request."""
    host, port = scope["server"] or ("localhost", 80)
    client = scope["client"] or ("", 0)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": settings.URL_PREFIX,
        "PATH_INFO": path_of(scope),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body.file,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for header, value in scope["headers"]:
        name = wsgi_header_name(header)
        if not name:
            continue
        if before := environ.get(name):
            joint = "; " if name == "HTTP_COOKIE" else ","
            environ[name] = f"{before}{joint}{value.decode('latin-1')}"
        else:
            environ[name] = value.decode("latin-1")
    if body.size:
        # A chunked request has no Content-Length header.
        environ["CONTENT_LENGTH"] = str(body.size)
    return environ


def path_of(scope: Scope) -> str:
    """Return the path below URL_PREFIX, as WSGI encodes it: each character is one byte.

    The path may or may not still have the prefix: some proxies remove it.
    """
    path = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    prefix = settings.URL_PREFIX
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        return path.removeprefix(prefix)
    return path


@lru_cache(1000)
def wsgi_header_name(header: bytes) -> str:
    """Return the WSGI name of a header, or an empty string for a header to drop.

    A header with an underscore is dropped: `x_forwarded_proto`, sent by a client, would get the
    same WSGI name as `X-Forwarded-Proto`, which only a proxy may set.
    """
    name = header.decode("latin-1").upper().replace("-", "_")
    if name in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
        return name
    return "" if b"_" in header else f"HTTP_{name}"
