"""`Idempotency-Key`: a POST may be sent again, and takes effect once.

In the terms of https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from accounts.models import IdempotentRequest
from config.problems import answer
from events.sql import execute

MAX_KEY_LENGTH = 255
# What these answer has tokens in it, which are stored hashed and nowhere else.
AUTH = "/api/v1/auth/"

# Waits for a transaction that has the same key, and inserts nothing if that one commits.
CLAIM = """
    INSERT INTO accounts_idempotentrequest (key, body_digest, content_type, created_at)
    VALUES (%s, %s, '', now()) ON CONFLICT (key) DO NOTHING
"""
KEEP = """
    UPDATE accounts_idempotentrequest SET status = %s, content_type = %s, answer = %s
    WHERE key = %s
"""


class IdempotencyMiddleware:
    """This keeps the answer to a POST that carries a key, in the transaction of its effect.

    Two that arrive at once wait for each other at the key's row. Only answers that took effect
    (2xx) are kept: a request that failed may be mended and sent again under the same key.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None or not may_be_kept(request):
            return self.get_response(request)
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            return answer(400, f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} characters.")
        try:
            with transaction.atomic():
                return self._once(request, key)
        except RequestDataTooBig:
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            return answer(413, f"With an Idempotency-Key, a body has up to {limit} bytes.")

    def _once(self, request: HttpRequest, key: str) -> HttpResponse:
        sender = request.headers["Authorization"]
        name = digest(f"{sender}\n{request.path}\n{key}".encode())
        while not execute(CLAIM, [name, digest(request.body)]).count:
            if kept := IdempotentRequest.objects.filter(key=name).first():
                return repeated(request, kept)
            # It has just been too old to be kept any longer, so the key is free again.
        response = self.get_response(request)
        if 200 <= response.status_code < 300:
            content_type = response.get("Content-Type", "")
            execute(KEEP, [response.status_code, content_type, response.content, name])
        else:
            transaction.set_rollback(True)
        return response


def may_be_kept(request: HttpRequest) -> bool:
    """This says whether the answer may be kept: it has a sender, and no token in it."""
    return (
        request.method == "POST"
        and bool(request.headers.get("Authorization"))
        and request.path.startswith("/api/")
        and not request.path.startswith(AUTH)
    )


def repeated(request: HttpRequest, kept: IdempotentRequest) -> HttpResponse:
    """This answers a request whose key was used before."""
    if kept.body_digest != digest(request.body):
        return answer(422, "This Idempotency-Key was used with another body; take a new one.")
    return HttpResponse(
        bytes(kept.answer or b""),
        status=kept.status or 200,
        content_type=kept.content_type,
        headers={"Idempotent-Replayed": "true"},
    )


def digest(text: bytes) -> str:
    """This answers a fingerprint, so that neither tokens nor bodies are stored."""
    return hashlib.sha256(text).hexdigest()
