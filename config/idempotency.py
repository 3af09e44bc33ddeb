"""`Idempotency-Key`: a POST may be sent again, and takes effect once.

In the terms of https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from rest_framework.exceptions import AuthenticationFailed

from accounts import repeats
from accounts.authentication import TokenAuthentication
from accounts.models import IdempotentRequest, User
from api.views import MADE, APIView
from config.problems import answer

# What these answer has tokens in it, which are stored hashed and nowhere else. Registering has a
# way of its own (accounts/registrations.py).
AUTH = "/api/v1/auth/"


class IdempotencyMiddleware:
    """Keep the answer to a POST that carries a key, in the transaction of its effect.

    Two that arrive at once wait for each other at the key's row. Only answers that took effect
    (2xx) are kept: a request that failed may be mended and sent again under the same key. Keys are
    a person's own, and an answer is repeated only to a person whose token is valid now.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method != "POST" or not request.path_info.startswith("/api/"):
            return self.get_response(request)
        if not 0 < len(key) <= repeats.MAX_KEY_LENGTH:
            return answer(400, f"An Idempotency-Key has 1 to {repeats.MAX_KEY_LENGTH} characters.")
        sender = None if request.path_info.startswith(AUTH) else sender_of(request)
        if sender is None:
            return self.get_response(request)
        try:
            with transaction.atomic():
                return self._once(request, sender, key)
        except RequestDataTooBig:
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            return answer(413, f"With an Idempotency-Key, a body has up to {limit} bytes.")

    def _once(self, request: HttpRequest, sender: User, key: str) -> HttpResponse:
        name = digest(f"{sender.pk}\n{request.path_info}\n{key}".encode())
        if kept := repeats.claim(name, digest(request.body)):
            return repeated(request, kept, sender)
        response = self.get_response(request)
        if 200 <= response.status_code < 300:
            repeats.keep(
                name,
                status=response.status_code,
                content_type=response.get("Content-Type", ""),
                content=response.content,
            )
        else:
            transaction.set_rollback(True)
        return response


def sender_of(request: HttpRequest) -> User | None:
    """Return who sends a request; None for nobody, to whom the view says what is wrong."""
    try:
        found = TokenAuthentication().authenticate(request)
    except AuthenticationFailed:
        return None
    return found[0] if found else None


def repeated(request: HttpRequest, kept: IdempotentRequest, sender: User) -> HttpResponse:
    """Answer a request whose key was used before."""
    if kept.body_digest != digest(request.body):
        return answer(422, "This Idempotency-Key was used with another body; take a new one.")
    content, status = bytes(kept.answer or b""), kept.status or 200
    headers = {"Idempotent-Replayed": "true"}
    view = getattr(resolve(request.path_info).func, "view_class", None)
    if view is not None and issubclass(view, APIView) and content:
        made = msgspec.json.decode(content)
        if not view.may_see(sender, made):
            return answer(404, "You can no longer see what this request was answered with.")
        headers |= view.where_made(made) if status in MADE else {}
    return HttpResponse(content, status=status, content_type=kept.content_type, headers=headers)


def digest(text: bytes) -> str:
    """Return a fingerprint, so that neither tokens nor bodies are stored."""
    return hashlib.sha256(text).hexdigest()
