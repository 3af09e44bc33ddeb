"""The price of each kind of try: which budgets a login or a registration spends."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest

from accounts.guard import budgets
from accounts.guard.addresses import client_address
from accounts.guard.budgets import Budget, TooManyTries, keyed_digest
from accounts.guard.devices import Device, device_of
from eventbook.database import execute

logger = logging.getLogger(__name__)

# A try from an unknown place spends both of these: the account's and the address's.
ACCOUNT = Budget("account", 20, timedelta(minutes=1))
ADDRESS = Budget("address", 30, timedelta(seconds=10))
# A try from a known place spends only this: strangers can't use it up.
PLACE = Budget("place", 10, timedelta(minutes=1))
# The part of the price that a right password gets back. Not all of it, since hashing takes as much
# CPU as for a wrong one.
REFUND = 0.95

KNOWS = "SELECT FROM accounts_knownplace WHERE key = %s"
REMEMBER = """
    INSERT INTO accounts_knownplace AS place (key, seen_at) VALUES (%s, now())
    ON CONFLICT (key) DO UPDATE SET seen_at = now() WHERE place.seen_at < now() - interval '1 day'
"""


@dataclass(frozen=True)
class Caller:
    """The sender of a request: the client's address and device."""

    address: str
    device: Device

    @classmethod
    def of(cls, request: HttpRequest | None) -> Caller:
        """Return the sender of a request; without a request, one that all such calls share."""
        if request is None:
            return cls("unknown", Device(""))
        meta = request.META
        peer, forwarded = meta.get("REMOTE_ADDR", ""), meta.get("HTTP_X_FORWARDED_FOR", "")
        address = client_address(peer, forwarded, proxies=settings.TRUSTED_PROXIES)
        return cls(address, device_of(request))


@dataclass(frozen=True)
class Try:
    """A login try that has been paid for; `paid` are the budgets and their holders."""

    account: str
    caller: Caller
    paid: tuple[tuple[Budget, str], ...]

    def succeeded(self) -> None:
        """Refund most of the price, and remember the address as a known place of the account.

        The account's own budget is not refunded.
        """
        for budget, holder in self.paid:
            if budget is not ACCOUNT:
                budgets.refund(budget, holder, part=REFUND)
        remember_address(self.account, self.caller)


def begin_login(account: str, caller: Caller) -> Try:
    """Pay for one guess at an account's password; raise TooManyTries if a budget is used up.

    `account` is the username's normal form, whether or not such an account exists.
    """
    try:
        return Try(account, caller, _pay(account, caller))
    except TooManyTries as refused:
        logger.info("login.slowed_down", extra={"seconds": refused.retry_after})
        raise


def begin_registration(caller: Caller) -> None:
    """Pay for one registration from an address; raise TooManyTries at REGISTRATIONS_PER_HOUR."""
    per_hour = settings.REGISTRATIONS_PER_HOUR
    budgets.spend(Budget("register", per_hour, timedelta(hours=1) / per_hour), caller.address)


def remember_address(account: str, caller: Caller) -> None:
    """Record an address as a known place of an account."""
    execute(REMEMBER, [_place(account, caller.address)])


def _pay(account: str, caller: Caller) -> tuple[tuple[Budget, str], ...]:
    """Spend the budgets of a login, and return them with their holders."""
    known = execute(KNOWS, [_place(account, caller.address)]).count
    if caller.device.knows(account):
        prices = [(PLACE, f"{account}\ndevice\n{caller.device.id}")]
    elif known:
        prices = [(PLACE, f"{account}\naddress\n{caller.address}")]
    else:
        prices = [(ADDRESS, caller.address), (ACCOUNT, account)]
    for number, (budget, holder) in enumerate(prices):
        try:
            budgets.spend(budget, holder)
        except TooManyTries:
            # Refund the other budgets, because no guess is made: a client that is refused for one
            # account may still try another.
            for paid in prices[:number]:
                budgets.refund(*paid)
            raise
    return tuple(prices)


def _place(account: str, address: str) -> str:
    return keyed_digest("place", account, address)
