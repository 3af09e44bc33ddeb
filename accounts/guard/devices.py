"""The device cookie, which marks a device on which an account has logged in.

The cookie is no login. Its only use is to distinguish the owner's device from a stranger's:
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponseBase

from accounts.guard.budgets import keyed_digest

COOKIE = "device"
SALT = "accounts.guard.device"
KEPT_FOR = timedelta(days=365)
# The most accounts in one cookie; on a shared device, the least recent one is dropped.
MAX_ACCOUNTS = 5


@dataclass(frozen=True)
class Device:
    """A device's id, and the digests of the accounts that have logged in on it."""

    id: str
    accounts: tuple[str, ...] = ()

    def knows(self, account: str) -> bool:
        """Return whether that account has logged in on this device."""
        return keyed_digest(account)[:16] in self.accounts


def device_of(request: HttpRequest) -> Device:
    """Return the device that a request's cookie names, or a new one."""
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=KEPT_FOR)
        return Device(str(found["id"]), tuple(found["accounts"]))
    except (signing.BadSignature, KeyError, TypeError, ValueError):
        return Device(secrets.token_urlsafe(12))


def remember_device(request: HttpRequest, response: HttpResponseBase, account: str) -> None:
    """Set the response's cookie, with the account that has just logged in added."""
    device, new = device_of(request), keyed_digest(account)[:16]
    accounts = [new, *(known for known in device.accounts if known != new)][:MAX_ACCOUNTS]
    response.set_cookie(
        COOKIE,
        signing.dumps({"id": device.id, "accounts": accounts}, salt=SALT),
        max_age=KEPT_FOR,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
        path=settings.SESSION_COOKIE_PATH,
    )
