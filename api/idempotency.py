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
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import resolve
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from api.models import IdempotentRequest
from api.problems import api_error_of, problem_response
from api.views import CREATED, APIView
from eventbook.database import execute

# These responses contain tokens, of which only hashes may be stored. Registration therefore
# implements the header itself (accounts/registrations.py).
AUTH_PATH = "/api/v1/auth/"
MAX_KEY_LENGTH = 255
KEY_REUSED = "This Idempotency-Key was used with another body; send a new one."

# Waits for an open transaction that has claimed the same key; inserts nothing if that commits.
CLAIM = """
    INSERT INTO api_idempotentrequest (key, body_digest, content_type, created_at)
    VALUES (%s, %s, '', now()) ON CONFLICT (key) DO NOTHING
"""
STORE = """
    UPDATE api_idempotentrequest SET status = %s, content_type = %s, answer = %s
    WHERE key = %s
"""


class IdempotencyMiddleware:
    """Store the response to a POST with a key, in the same transaction as the request's effect.

    Of two requests at once, the second waits until the first one's transaction has ended.
    Only 2xx responses are stored: a failed request may be corrected and sent again under the same
    key. Each person has their own keys; a stored response is repeated only for a valid token.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Run the view, or repeat its stored response to a user's POST with the same key."""
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method != "POST" or not request.path_info.startswith("/api/"):
            return self.get_response(request)
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            return problem_response(
                400, f"An Idempotency-Key has 1 to {MAX_KEY_LENGTH} characters."
            )
        sender = None if request.path_info.startswith(AUTH_PATH) else sender_of(request)
        if sender is None:
            return self.get_response(request)
        try:
            with transaction.atomic():
                return self._once(request, sender, key)
        except RequestDataTooBig:
            limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
            return problem_response(
                413, f"With an Idempotency-Key, a body has up to {limit} bytes."
            )
        except IntegrityError as error:
            # Foreign keys are checked at the commit, after the view.
            if (conflict := api_error_of(error)) is None:
                raise
            return problem_response(conflict.status_code, str(conflict.detail))

    def _once(self, request: HttpRequest, sender: AbstractBaseUser, key: str) -> HttpResponse:
        """Return the stored response if the key was used before; otherwise run the view."""
        name = sha256_of(f"{sender.pk}\n{request.path_info}\n{key}".encode())
        if stored := claim_key(name, sha256_of(request.body)):
            return response_again(request, stored, sender)
        response = self.get_response(request)
        if 200 <= response.status_code < 300:
            content_type = response.get("Content-Type", "")
            execute(STORE, [response.status_code, content_type, response.content, name])
        else:
            transaction.set_rollback(True)
        return response


def sender_of(request: HttpRequest) -> AbstractBaseUser | None:
    """Return the authenticated user, or None without a valid token; then the view refuses it.

    The view authenticates the request again, but the result for a token is kept on the request.
    """
    try:
        for authenticator in APIView().get_authenticators():
            found = authenticator.authenticate(Request(request))
            if found:
                sender: AbstractBaseUser = found[0]
                return sender
    except AuthenticationFailed:
        return None
    return None


def response_again(
    request: HttpRequest, stored: IdempotentRequest, sender: AbstractBaseUser
) -> HttpResponse:
    """Return the response to a request whose key was used before: the stored one, or an error.

    422 for another body, 404 if the sender may no longer see the object that the request created.
    """
    if stored.body_digest != sha256_of(request.body):
        return problem_response(422, KEY_REUSED)
    content, status = bytes(stored.answer or b""), stored.status or 200
    headers = {"Idempotent-Replayed": "true"}
    view = getattr(resolve(request.path_info).func, "view_class", None)
    if view is not None and issubclass(view, APIView) and content:
        created = msgspec.json.decode(content)
        if not view.may_see(sender, created):
            return problem_response(
                404, "You can no longer see the object in this request's first response."
            )
        headers |= view.location_header(created) if status in CREATED else {}
    return HttpResponse(content, status=status, content_type=stored.content_type, headers=headers)


def claim_key(name: str, body_digest: str) -> IdempotentRequest | None:
    """Claim a key in the current transaction; return None, or the earlier request that used it."""
    while not execute(CLAIM, [name, body_digest]).count:
        if stored := IdempotentRequest.objects.filter(key=name).first():
            return stored
        # The earlier request was deleted just now, for its age: the key is free, so try again.
    return None


def sha256_of(content: bytes) -> str:
    """Return a SHA-256 hash, stored in place of keys and bodies."""
    return hashlib.sha256(content).hexdigest()
