"""How a password is checked: here, for the API, the admin and whatever else logs people in."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.guard import Caller, begin_login
from accounts.models import User
from accounts.names import lookup_form


class GuardedBackend(ModelBackend):
    """Django's own, which looks at a password only after the guess has been paid for."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> User | None:
        """Return who has this name and password; raises TooManyTries before it hashes anything."""
        if username is None or password is None:
            return None
        guess = begin_login(lookup_form(username), Caller.of(request))
        user = super().authenticate(request, username=username, password=password, **others)
        if user is not None:
            guess.succeeded()
        return user
