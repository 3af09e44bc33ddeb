"""Registering, which may be sent again like every POST, though nobody is logged in yet."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.db import transaction
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request

from accounts import repeats, services
from accounts.guard import Caller, begin_registration
from accounts.guard.budgets import digest
from accounts.guard.tries import remember_address
from accounts.models import User
from accounts.names import lookup_form


class KeyOfAnotherRequest(APIException):
    """An Idempotency-Key was used with another body."""

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "This Idempotency-Key was used with another body; take a new one."
    default_code = "key_used"


def register(request: Request, person: dict[str, Any]) -> tuple[User, bool]:
    """Make a user, or return the one that this request made before, and whether it did.

    Raises TooManyTries, ValidationError, and KeyOfAnotherRequest. Nothing is stored of the answer,
    which has a token in it, and nothing of the password but its hash: whoever repeats the request
    knows the password, and gets a token of their own.
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
    # Nobody is logged in, so the key is the sender's: by address, and for one who has moved by
    # name. In this order, so that no two wait for each other.
    name, body = lookup_form(person["username"]), digest(person["username"], person["email"])
    for whose in (caller.address, name):
        if kept := repeats.claim(digest("register", key, whose), body):
            if kept.body_digest != body:
                raise KeyOfAnotherRequest
            return False
    return True
