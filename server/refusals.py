"""The rules for request bodies (size, login), and the response to a request that breaks them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from rest_framework.exceptions import AuthenticationFailed

from accounts.authentication import digest_of, still_valid, token_in
from api.problems import MEDIA_TYPE, problem
from imports.limits import IMPORT_BYTES
from imports.views import ENVELOPE_BYTES
from server.bodies import RETRY_AFTER_SECONDS, Message, Receive, Refused

Send = Callable[[Message], Awaitable[None]]

IMPORTS = {"/api/v1/imports/", "/api/v1/imports/files/"}
# These paths get a lower limit: their bodies have little more than a name and a password.
LOGINS = ("/api/v1/auth/", "/admin/login/")
# How long the server reads and drops the rest of a refused body, so that the client gets to read
# the response.
LINGER_SECONDS = 2.0


def most_of(method: str, path: str) -> int:
    """Return the maximum size of a request's body, in bytes."""
    if path.startswith(LOGINS):
        return settings.WEB.body_bytes_auth
    if method == "POST" and path in IMPORTS:
        return max(settings.WEB.body_bytes, IMPORT_BYTES + ENVELOPE_BYTES)
    return settings.WEB.body_bytes


def require_token(authorization: bytes) -> None:
    """Raise Refused unless the Authorization header has a valid token.

    Only users who are logged in may send large files.
    """
    try:
        digest = digest_of(token_in(authorization) or b"")
        if not still_valid({digest}):
            raise Refused(401, "Log in, and send your token, before you send a large body.")
    except AuthenticationFailed as error:
        raise Refused(401, str(error.detail)) from None
    except DatabaseError:
        raise Refused(503, "The database can't be reached; try again in a few seconds.") from None
    finally:
        close_old_connections()


async def refuse(send: Send, receive: Receive, refused: Refused, others: Mapping[str, str]) -> None:
    """Send the refusal as a problem document (RFC 9457), with `others` as further headers.

    Then read and drop the rest of the body for a moment.
    """
    body = json.dumps(problem(refused.status, str(refused))).encode()
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in others.items()]
    if refused.status == 401:
        headers.append((b"www-authenticate", b"Token"))
    if refused.status in {429, 503}:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    # If the connection were closed with unread data, TCP would reset it, and the client might never
    # see the response.
    await read_on(receive)
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def read_on(receive: Receive) -> None:
    """Read and drop what the client still sends, for LINGER_SECONDS at most."""
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            message: Any = {"more_body": True}
            while message.get("more_body", False):
                message = await receive()
    except TimeoutError:
        return
