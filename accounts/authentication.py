from __future__ import annotations

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from django.db import DatabaseError, connection
from django.db.models import Model, Q
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox import auth
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import User
from events.failures import reason
from events.sql import execute

logger = logging.getLogger(__name__)

USE_NOTED_EVERY = timedelta(hours=1)
NOTE_USE = """
    INSERT INTO accounts_tokenuse AS used (digest, used_at) VALUES (%s, now())
    ON CONFLICT (digest) DO UPDATE SET used_at = now()
    WHERE used.used_at < now() - interval '1 hour'
"""
MOST_NOTED = 10_000
_noted: dict[str, datetime] = {}

REFUSED = "This token is not valid, or has expired; log in again."


class TokenAuthentication(auth.TokenAuthentication):  # type: ignore[misc]
    """Knox's tokens, found by their hash with one query.

    Knox's own looks through all of the user's tokens on each request, deletes the expired ones
    (a task does that here: accounts/tasks.py), and fails on a header that is not UTF-8.
    """

    def authenticate(self, request: Request | HttpRequest) -> tuple[User, AuthToken] | None:
        """Return who sends a request, and the token; it is asked once, by middleware or view."""
        own: Any = getattr(request, "_request", request)
        if not hasattr(own, "authenticated_by_token"):
            sent = token_in(own.META.get("HTTP_AUTHORIZATION", "").encode("latin-1"))
            own.authenticated_by_token = (
                None if sent is None else self.authenticate_credentials(sent)
            )
        found: tuple[User, AuthToken] | None = own.authenticated_by_token
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        """Return whose token it is; raise AuthenticationFailed if it is nobody's."""
        found = find_token(digest_of(token))
        if found is None or not found.user.is_active:
            raise AuthenticationFailed(REFUSED)
        note_use(found)
        return found.user, found


def token_in(header: bytes) -> bytes | None:
    """Return the token in an Authorization header; None if it is of another scheme, or not there.

    The scheme is `Token`, or `Bearer`, which tools that are made from the OpenAPI schema send, with
    `Token` before the token if somebody typed that too. Raises AuthenticationFailed for a header
    that has no token, or more than one word for it.
    """
    scheme, *words = header.split() or [b""]
    if scheme.lower() not in (b"token", b"bearer"):
        return None
    if scheme.lower() == b"bearer" and len(words) == 2 and words[0].lower() == b"token":
        words = words[1:]
    if len(words) != 1:
        raise AuthenticationFailed("Send one token: `Authorization: Token …`.")
    return words[0]


def find_token(digest: str) -> AuthToken | None:
    """Return a token that has not expired, with its user.

    In SQL of our own: every request asks for it, and the ORM takes longer to write the statement
    than the server takes to run it.
    """
    rows = execute(find_statement(), [digest]).rows
    if not rows:
        return None
    (row,) = rows
    of_token, of_user = columns_of(AuthToken), columns_of(User)
    token = AuthToken.from_db(connection.alias, of_token, row[: len(of_token)])
    token.user = User.from_db(connection.alias, of_user, row[len(of_token) :])
    return token


def note_use(token: AuthToken) -> None:
    """Write down that a token is used, once an hour; to fail in that must not fail a request.

    When each process did so last is in its memory: to read it with the token would cost every
    request a third of what it takes to find one.
    """
    now = timezone.now()
    last = _noted.get(token.digest, token.created)
    if now - last < USE_NOTED_EVERY or connection.in_atomic_block:
        return
    if len(_noted) >= MOST_NOTED:
        _noted.clear()
    _noted[token.digest] = now
    try:
        execute(NOTE_USE, [token.digest])
    except DatabaseError as error:
        logger.info("token.use_not_noted", extra={"error": reason(error)})


def still_valid(digests: Collection[str]) -> set[str]:
    """Return which of these tokens have neither expired nor been revoked."""
    unexpired = Q(expiry=None) | Q(expiry__gt=Now())
    tokens = AuthToken.objects.filter(unexpired, digest__in=digests, user__is_active=True)
    return set(tokens.values_list("digest", flat=True))


@cache
def find_statement() -> str:
    """Return the statement that finds a token and its user."""
    wanted = [f"token.{name}" for name in columns_of(AuthToken)]
    wanted += [f"person.{name}" for name in columns_of(User)]
    return f"""
        SELECT {", ".join(wanted)}
        FROM knox_authtoken token JOIN accounts_user person ON person.id = token.user_id
        WHERE token.digest = %s AND (token.expiry IS NULL OR token.expiry > now())
    """  # noqa: S608 - put together from the models' columns


@cache
def columns_of(model: type[Model]) -> list[str]:
    """Return the columns of a model, in its order."""
    return [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001


def person(request: Request) -> User:
    """Return who asks, in views that only people who are logged in can reach."""
    return cast(User, request.user)


def digest_of(token: bytes) -> str:
    """Return the hash under which a token is stored."""
    try:
        return str(hash_token(token.decode("ascii")))
    except ValueError:
        raise AuthenticationFailed(REFUSED) from None


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The way of authentication, as the OpenAPI schema describes it to tools."""

    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the header that clients send."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The `token` that auth/login/ answers. `Authorization: Token …` is the"
            " same as `Authorization: Bearer …`.",
        }
