"""The tries that cost a budget: of a password, and of registering."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest

from accounts.guard import budgets
from accounts.guard.addresses import client_address
from accounts.guard.budgets import Budget, TooManyTries, digest
from accounts.guard.devices import Device, device_of
from events.sql import execute

logger = logging.getLogger(__name__)

# Strangers share these: one for each account, and one for each address that they come from.
ACCOUNT = Budget("account", 20, timedelta(minutes=1))
ADDRESS = Budget("address", 30, timedelta(seconds=10))
# For an account from a device or an address that it has logged in from: strangers can't use it up.
PLACE = Budget("place", 10, timedelta(minutes=1))
# A right password costs something too: it takes the processor as much time as a wrong one.
GIVEN_BACK = 0.95

KNOWS = "SELECT FROM accounts_knownplace WHERE key = %s"
REMEMBER = """
    INSERT INTO accounts_knownplace AS place (key, seen_at) VALUES (%s, now())
    ON CONFLICT (key) DO UPDATE SET seen_at = now() WHERE place.seen_at < now() - interval '1 day'
"""


@dataclass(frozen=True)
class Caller:
    """Who sends a request, as far as it can be told: the address, and the device."""

    address: str
    device: Device

    @classmethod
    def of(cls, request: HttpRequest | None) -> Caller:
        """Return the sender of a request; without one, all are the same."""
        if request is None:
            return cls("unknown", Device(""))
        meta = request.META
        peer, forwarded = meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
        address = client_address(peer, forwarded, proxies=settings.TRUSTED_PROXIES)
        return cls(address, device_of(request))


@dataclass(frozen=True)
class Try:
    """A try that has been paid for."""

    account: str
    caller: Caller
    paid: tuple[tuple[Budget, str], ...]

    def succeeded(self) -> None:
        """Give back most of the price, and remember the address with the account."""
        for budget, whose in self.paid:
            if budget is not ACCOUNT:
                budgets.give_back(budget, whose, part=GIVEN_BACK)
        remember_address(self.account, self.caller)


def begin_login(account: str, caller: Caller) -> Try:
    """Pay for one guess at an account's password; raises TooManyTries.

    `account` is the normalised name, whether it exists or not.
    """
    try:
        return Try(account, caller, _pay(account, caller))
    except TooManyTries as refused:
        logger.info("login.slowed_down", extra={"seconds": refused.retry_after})
        raise


def begin_registration(caller: Caller) -> None:
    """Pay for one registration from an address; raises TooManyTries."""
    per_hour = settings.REGISTRATIONS_PER_HOUR
    budgets.spend(Budget("register", per_hour, timedelta(hours=1) / per_hour), caller.address)


def remember_address(account: str, caller: Caller) -> None:
    """Remember that an account has logged in from an address."""
    execute(REMEMBER, [_place(account, caller.address)])


def _pay(account: str, caller: Caller) -> tuple[tuple[Budget, str], ...]:
    known = execute(KNOWS, [_place(account, caller.address)]).count
    if caller.device.knows(account):
        prices = [(PLACE, f"{account}\ndevice\n{caller.device.id}")]
    elif known:
        prices = [(PLACE, f"{account}\naddress\n{caller.address}")]
    else:
        prices = [(ADDRESS, caller.address), (ACCOUNT, account)]
    for number, (budget, whose) in enumerate(prices):
        try:
            budgets.spend(budget, whose)
        except TooManyTries:
            # No guess is made, so nothing is paid: who is refused for one name may try another.
            for paid in prices[:number]:
                budgets.give_back(*paid)
            raise
    return tuple(prices)


def _place(account: str, address: str) -> str:
    return digest("place", account, address)
