"""The API's authentication: find the user of a request's token, and record the token's use."""

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
from eventbook.database import execute
from eventbook.observe import connection_error

logger = logging.getLogger(__name__)

RECORD_USE_EVERY = timedelta(hours=1)
RECORD_USE = """
    INSERT INTO accounts_tokenuse AS used (digest, used_at) VALUES (%s, now())
    ON CONFLICT (digest) DO UPDATE SET used_at = now()
    WHERE used.used_at < now() - interval '1 hour'
"""
MAX_REMEMBERED = 10_000  # tokens whose last recorded use this process remembers
_recorded_at: dict[str, datetime] = {}

REFUSED = "This token is not valid, or has expired; log in again."


class TokenAuthentication(auth.TokenAuthentication):  # type: ignore[misc]
    """Authenticates by Knox's tokens, found by their hash with one query.

    Knox's own class also deletes expired tokens on each request (here, a task does it:
    accounts/tasks.py), and fails on a header that is not UTF-8.
    """

    def authenticate(self, request: Request | HttpRequest) -> tuple[User, AuthToken] | None:
        """Return the request's user and token, or None if it has no token.

        The result is kept on the request, because the middleware and the view both need it.
        Raise AuthenticationFailed for an invalid token.
        """
        own: Any = getattr(request, "_request", request)
        if not hasattr(own, "authenticated_by_token"):
            sent = token_in(own.META.get("HTTP_AUTHORIZATION", "").encode("latin-1"))
            own.authenticated_by_token = (
                None if sent is None else self.authenticate_credentials(sent)
            )
        found: tuple[User, AuthToken] | None = own.authenticated_by_token
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        """Return a token's user and record; raise AuthenticationFailed for an invalid token."""
        found = find_token(digest_of(token))
        if found is None or not found.user.is_active:
            raise AuthenticationFailed(REFUSED)
        record_use(found)
        return found.user, found


def token_in(header: bytes) -> bytes | None:
    """Return the token in an Authorization header; None for an empty header or another scheme.

    The scheme is `Token` or `Bearer`. Tools generated from the OpenAPI schema send `Bearer`, and
    `Bearer Token …` if a user typed the word `Token` too. Raise AuthenticationFailed for a header
    without a token or with several words in its place.
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
    """Return the unexpired token with this digest, and its user; None if there is none.

    In raw SQL, because each request runs it, and the ORM would need more time to build the
    statement than PostgreSQL needs to execute it.
    """
    rows = execute(find_statement(), [digest]).rows
    if not rows:
        return None
    (row,) = rows
    of_token, of_user = columns_of(AuthToken), columns_of(User)
    token = AuthToken.from_db(connection.alias, of_token, row[: len(of_token)])
    token.user = User.from_db(connection.alias, of_user, row[len(of_token) :])
    return token


def record_use(token: AuthToken) -> None:
    """Record that a token is in use, once an hour; a failure must not fail the request.

    Each process remembers in memory when it last did so for a token. Reading that time from the
    database would make finding a token a third slower, in every request.
    """
    now = timezone.now()
    last = _recorded_at.get(token.digest, token.created)
    if now - last < RECORD_USE_EVERY or connection.in_atomic_block:
        return
    if len(_recorded_at) >= MAX_REMEMBERED:
        _recorded_at.clear()
    _recorded_at[token.digest] = now
    try:
        execute(RECORD_USE, [token.digest])
    except DatabaseError as error:
        logger.info("token.use_not_noted", extra={"error": connection_error(error)})


def still_valid(digests: Collection[str]) -> set[str]:
    """Return the digests of those tokens that are neither expired nor revoked."""
    unexpired = Q(expiry=None) | Q(expiry__gt=Now())
    tokens = AuthToken.objects.filter(unexpired, digest__in=digests, user__is_active=True)
    return set(tokens.values_list("digest", flat=True))


@cache
def find_statement() -> str:
    """Return the statement that finds a token and its user."""
    columns = [f"token.{name}" for name in columns_of(AuthToken)]
    columns += [f"person.{name}" for name in columns_of(User)]
    return f"""
        SELECT {", ".join(columns)}
        FROM knox_authtoken token JOIN accounts_user person ON person.id = token.user_id
        WHERE token.digest = %s AND (token.expiry IS NULL OR token.expiry > now())
    """  # noqa: S608 - put together from the models' columns


@cache
def columns_of(model: type[Model]) -> list[str]:
    """Return the column names of a model, in the order of its fields."""
    return [field.attname for field in model._meta.concrete_fields]  # noqa: SLF001


def person(request: Request) -> User:
    """Return the request's user; only for views that require a login."""
    return cast(User, request.user)


def digest_of(token: bytes) -> str:
    """Return the hash under which a token is stored; raise AuthenticationFailed if not ASCII."""
    try:
        return str(hash_token(token.decode("ascii")))
    except ValueError:
        raise AuthenticationFailed(REFUSED) from None


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The description of TokenAuthentication in the OpenAPI schema."""

    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """Return the OpenAPI security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "The `token` that auth/login/ returns. `Authorization: Token …` and"
            " `Authorization: Bearer …` are the same.",
        }
