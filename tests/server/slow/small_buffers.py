"""Settings of a web process whose kernel holds little of a response: the process holds the rest."""

from __future__ import annotations

import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tests.settings import *  # noqa: F403

accept = HttpToolsProtocol.connection_made


def connection_made(self: HttpToolsProtocol, transport: Any) -> None:
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    accept(self, transport)


HttpToolsProtocol.connection_made = connection_made  # type: ignore[method-assign]
