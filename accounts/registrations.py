"""Registration, with its own handling of `Idempotency-Key`: there is no logged-in user yet."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.db import transaction
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts import services
from accounts.guard import Caller, begin_registration
from accounts.guard.budgets import keyed_digest
from accounts.guard.tries import remember_address
from accounts.models import User
from accounts.names import lookup_form
from api.idempotency import KEY_REUSED, claim_key


class KeyOfAnotherRequest(APIException):
    """The request's Idempotency-Key was used before, with another body."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = KEY_REUSED
    default_code = "key_used"


def register(request: Request, person: dict[str, Any]) -> tuple[User, bool]:
    """Create a user; return the user, and whether an earlier request had created it.

    Raise TooManyTries, ValidationError or KeyOfAnotherRequest. The response is not stored, because
    it contains a token. A repetition is recognised by its key and checked by the password, and the
    caller then creates another token.
    """
    caller = Caller.of(request)
    begin_registration(caller)
    key = request.headers.get("Idempotency-Key")
    with transaction.atomic():
        if key is None or _is_new(key, person, caller):
            user = services.register(**person)
            remember_address(lookup_form(user.username), caller)
            return user, False
    user_before = authenticate(request, username=person["username"], password=person["password"])
    if not isinstance(user_before, User):
        raise KeyOfAnotherRequest
    return user_before, True


def _is_new(key: str, person: dict[str, Any], caller: Caller) -> bool:
    """Claim the key; return False for a repetition, raise KeyOfAnotherRequest for another body."""
    # Without a login, a key belongs to the client's address, and also to the username, for a client
    # whose address has changed. Always claimed in this order, to avoid deadlocks.
    name, body = lookup_form(person["username"]), keyed_digest(person["username"], person["email"])
    for holder in (caller.address, name):
        if kept := claim_key(keyed_digest("register", key, holder), body):
            if kept.body_digest != body:
                raise KeyOfAnotherRequest
            return False
    return True
