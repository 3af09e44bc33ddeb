"""Rate limits for Flower's login: each guess costs a budget, as in accounts/guard."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from django.conf import settings
from django.db import Error, connections
from flower.api import BaseApiHandler
from flower.views import BaseHandler
from tornado.web import HTTPError

from accounts.guard import Caller, TooManyTries, Try, begin_login
from accounts.guard.addresses import client_address
from accounts.guard.devices import Device
from accounts.names import lookup_form
from api.refusals import RETRY_AFTER_SECONDS

DATABASE_DOWN = (
    "The database cannot be reached, so no login can be checked; try again in a few seconds. "
    "Logins that have succeeded since Flower started still work."
)
# Successful logins: the client's address, and a hash of the Authorization header, which browsers
# send with each request.
_accepted: set[tuple[str, bytes]] = set()
MAX_ACCEPTED = 1000
# A thread that waits for PostgreSQL, so that Flower's event loop doesn't.
_thread = ThreadPoolExecutor(1, thread_name_prefix="login")


def install() -> None:
    """Limit the logins at each page and each API call of Flower, before it checks the password."""
    before_api = BaseApiHandler.prepare

    async def prepare(handler: Any) -> None:
        await limit_login(handler)

    async def prepare_api(handler: Any) -> None:
        if await limit_login(handler):
            before_api(handler)

    BaseHandler.prepare, BaseApiHandler.prepare = prepare, prepare_api


async def limit_login(handler: Any) -> bool:
    """Spend the budget for the password in a request; return whether the request may continue.

    A request without a password costs nothing; Flower then asks for one. With OAuth alone, nothing
    is spent either: the provider limits the tries. A refused request gets status 429 at the limit,
    or 503 if the database is down. Raise tornado's HTTPError 401 for a wrong password.
    """
    header = handler.request.headers.get("Authorization", "")
    if not header or not handler.application.options.basic_auth:
        return True
    address = address_of(handler.request)
    password = (address, hashlib.sha256(header.encode(errors="replace")).digest())
    if password in _accepted:
        return True
    account = f"flower\n{lookup_form(name_in(header))}"
    try:
        guess: Try = await _in_thread(partial(begin_login, account, Caller(address, Device(""))))
        handler.get_current_user()  # raises 401 for a wrong one
        await _in_thread(guess.succeeded)
    except TypeError:
        # Flower can't compare text beyond ASCII, which no valid login contains.
        raise HTTPError(401) from None
    except TooManyTries as refused:
        _refuse(handler, 429, str(refused), refused.retry_after)
        return False
    except Error:
        _refuse(handler, 503, DATABASE_DOWN, RETRY_AFTER_SECONDS)
        return False
    if len(_accepted) >= MAX_ACCEPTED:
        _accepted.clear()
    _accepted.add(password)
    return True


def address_of(request: Any) -> str:
    """Return the client's address; Tornado's `remote_ip` would trust any header."""
    peer = request.connection.context.address
    return client_address(
        peer[0] if isinstance(peer, tuple) else "",
        ",".join(request.headers.get_list("X-Forwarded-For")),
        proxies=settings.TRUSTED_PROXIES,
    )


def name_in(header: str) -> str:
    """Return the username in a header of HTTP's Basic scheme (RFC 7617), or an empty string."""
    try:
        # Split exactly as Flower does. Otherwise, another kind of space would mean another account,
        # and so a fresh budget.
        decoded = b64decode("".join(header.split()[1:])).decode(errors="replace")
    except ValueError:
        return ""
    return decoded.partition(":")[0]


async def _in_thread(function: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_thread, _with_connection, function)


def _with_connection(function: Any) -> Any:
    """Run a database call in the thread, and close the thread's connection."""
    try:
        return function()
    finally:
        # The next login may be hours later, when this connection would be dead.
        connections.close_all()


def _refuse(handler: Any, status: int, text: str, seconds: int) -> None:
    """Send an error as text, with the seconds after which to try again."""
    handler.set_status(status)
    handler.set_header("Retry-After", str(seconds))
    handler.set_header("Content-Type", "text/plain; charset=UTF-8")
    handler.finish(text)
