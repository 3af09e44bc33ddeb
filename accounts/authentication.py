from __future__ import annotations

from typing import Any, cast

from django.db.models import Q
from django.utils import timezone
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from knox import auth
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from accounts.models import User

REFUSED = "This token is not valid, or has expired; log in again."


class TokenAuthentication(auth.TokenAuthentication):  # type: ignore[misc]
    """Knox's tokens, found by their hash with one query.

    Knox's own looks through all of the user's tokens on each request, deletes the expired ones
    (a task does that here: accounts/tasks.py), and fails on a header that is not UTF-8.
    """

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        """This answers whose token it is; raises AuthenticationFailed if it is nobody's."""
        found = (
            AuthToken.objects.filter(digest=digest_of(token))
            .filter(Q(expiry=None) | Q(expiry__gt=timezone.now()))
            .select_related("user")
            .first()
        )
        if found is None or not found.user.is_active:
            raise AuthenticationFailed(REFUSED)
        return found.user, found


def person(request: Request) -> User:
    """This answers who asks, in views that only people who are logged in can reach."""
    return cast(User, request.user)


def digest_of(token: bytes) -> str:
    """This answers the hash under which a token is stored."""
    try:
        return str(hash_token(token.decode("ascii")))
    except ValueError:
        raise AuthenticationFailed(REFUSED) from None


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The way of authentication, as the OpenAPI schema describes it."""

    target_class = "accounts.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """This answers the header that clients send."""
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token …`, as auth/login/ answers it",
        }
