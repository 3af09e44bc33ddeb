"""The header `Idempotency-Key`: a POST that is sent again takes effect only once.

Follows https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from api import repeats
from api.models import IdempotentRequest
from api.problems import answer
from api.views import MADE, APIView

# These responses contain tokens, which must be stored nowhere but hashed. Registration therefore
# implements the header itself (accounts/registrations.py).
AUTH = "/api/v1/auth/"


class IdempotencyMiddleware:
    """Store the response to a POST with a key, in the same transaction as the request's effect.

    Of two requests at once, the second waits for the first one's transaction, at the key's row.
    Only 2xx responses are stored: a failed request may be corrected and sent again under the same
    key. Each person has their own keys; a stored response is repeated only for a valid token.
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

    def _once(self, request: HttpRequest, sender: AbstractBaseUser, key: str) -> HttpResponse:
        """Return the stored response if the key was used before; otherwise run the view."""
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


def sender_of(request: HttpRequest) -> AbstractBaseUser | None:
    """Return the authenticated user; None without a valid token, for the view to refuse."""
    try:
        for authenticator in APIView().get_authenticators():
            found = authenticator.authenticate(Request(request))
            if found:
                sender: AbstractBaseUser = found[0]
                return sender
    except AuthenticationFailed:
        return None
    return None


def repeated(
    request: HttpRequest, kept: IdempotentRequest, sender: AbstractBaseUser
) -> HttpResponse:
    """Return the response to a request whose key was used before: the stored one, or an error.

    422 for another body, 404 if the sender may no longer see the object that the request created.
    """
    if kept.body_digest != digest(request.body):
        return answer(422, "This Idempotency-Key was used with another body; send a new one.")
    content, status = bytes(kept.answer or b""), kept.status or 200
    headers = {"Idempotent-Replayed": "true"}
    view = getattr(resolve(request.path_info).func, "view_class", None)
    if view is not None and issubclass(view, APIView) and content:
        made = msgspec.json.decode(content)
        if not view.may_see(sender, made):
            return answer(404, "You can no longer see the object in this request's first response.")
        headers |= view.where_made(made) if status in MADE else {}
    return HttpResponse(content, status=status, content_type=kept.content_type, headers=headers)


def digest(text: bytes) -> str:
    """Return a SHA-256 hash, stored in place of keys and bodies."""
    return hashlib.sha256(text).hexdigest()
