"""Problem documents (RFC 9457) that are sent without Django: before a request reaches it."""

from __future__ import annotations

from collections.abc import Iterable

from api.problems import MEDIA_TYPE, problem
from api.refusals import RETRY_AFTER_SECONDS
from api.rendering import encode
from server.asgi import Send

Headers = list[tuple[bytes, bytes]]


def encode_problem(status: int, detail: str) -> tuple[Headers, bytes]:
    """Return the headers and the body of a response with a problem document."""
    body = encode(problem(status, detail))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Token"))
    if status in {429, 503}:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_SECONDS))
    return headers, body


async def send_problem(
    send: Send,
    status: int,
    detail: str,
    *,
    other_headers: Iterable[tuple[bytes, bytes]] = (),
    more_body: bool = False,
) -> None:
    """Send a problem document; with `more_body`, the caller ends the response."""
    headers, body = encode_problem(status, detail)
    headers += other_headers
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more_body})
