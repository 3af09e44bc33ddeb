"""The types of ASGI (https://asgi.readthedocs.io), the interface between uvicorn and us."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = dict[str, Any]  # the facts of one request: method, path, headers and so on
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
