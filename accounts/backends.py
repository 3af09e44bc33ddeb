"""The password check of every login: the API's, the admin's, and any other through Django."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from accounts.guard import Caller, begin_login
from accounts.models import User
from accounts.names import lookup_form


class GuardedBackend(ModelBackend):
    """Django's ModelBackend, with a rate limit: each guess at a password first costs a budget."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **others: Any,
    ) -> User | None:
        """Return the user with this name and password, or None.

        Raise TooManyTries before any hashing, which is expensive.
        """
        if username is None or password is None:
            return None
        guess = begin_login(lookup_form(username), Caller.of(request))
        user = super().authenticate(request, username=username, password=password, **others)
        if user is not None:
            guess.succeeded()
        return user
