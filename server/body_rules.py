"""The rules for request bodies (size, login), and the response to a request that breaks them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from rest_framework.exceptions import AuthenticationFailed

from accounts.authentication import digest_of, still_valid, token_in
from api.idempotency import AUTH_PATH
from imports.limits import IMPORT_BYTES
from imports.views import ENVELOPE_BYTES
from server.asgi import Receive, Send
from server.bodies import RequestRefused
from server.problems import send_problem

IMPORTS = {"/api/v1/imports/", "/api/v1/imports/files/"}
# These paths get a lower limit: their bodies have little more than a name and a password.
LOGINS = (AUTH_PATH, "/admin/login/")
# How long the server reads and drops the rest of a refused body, so that the client gets to read
# the response.
LINGER_SECONDS = 2.0


def max_body_bytes(method: str, path: str) -> int:
    """Return the maximum size of a request's body, in bytes."""
    if path.startswith(LOGINS):
        return settings.WEB.body_bytes_auth
    if method == "POST" and path in IMPORTS:
        return max(settings.WEB.body_bytes, IMPORT_BYTES + ENVELOPE_BYTES)
    return settings.WEB.body_bytes


def require_token(authorization: bytes) -> None:
    """Raise RequestRefused unless the Authorization header has a valid token.

    Only users who are logged in may send large files.
    """
    try:
        digest = digest_of(token_in(authorization) or b"")
        if not still_valid({digest}):
            raise RequestRefused(401, "Log in, and send your token, before you send a large body.")
    except AuthenticationFailed as error:
        raise RequestRefused(401, str(error.detail)) from None
    except DatabaseError:
        raise RequestRefused(
            503, "The database can't be reached; try again in a few seconds."
        ) from None
    finally:
        close_old_connections()


async def refuse(
    send: Send, receive: Receive, refused: RequestRefused, other_headers: Mapping[str, str]
) -> None:
    """Send the refusal as a problem document, then drain the rest of the body for a moment."""
    headers = [
        (name.lower().encode(), value.encode("latin-1")) for name, value in other_headers.items()
    ]
    headers.append((b"connection", b"close"))
    await send_problem(send, refused.status, str(refused), other_headers=headers, more_body=True)
    # If the connection were closed with unread data, TCP would reset it, and the client might never
    # see the response.
    await drain(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def drain(receive: Receive) -> None:
    """Read and drop what the client still sends, for LINGER_SECONDS at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            message: Any = {"more_body": True}
            while message.get("more_body", False):
                message = await receive()
