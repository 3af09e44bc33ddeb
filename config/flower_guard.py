"""What Flower lacks: a login for everything, and perseverance.

`config/flowerconfig.py` applies it before Flower starts.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from collections.abc import Mapping
from typing import Any

from celery.events import EventReceiver
from flower import urls
from flower.events import Events
from flower.utils.authentication import validate_auth_option
from flower.views import BaseHandler, monitor
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

from config import flower_login

logger = logging.getLogger(__name__)

# Between two attempts to reach the broker; each of them takes up to 4 s.
RETRY_SECONDS = 2
OAUTH = ("FLOWER_AUTH", "FLOWER_OAUTH2_KEY", "FLOWER_OAUTH2_SECRET", "FLOWER_OAUTH2_REDIRECT_URI")
# What proxies add to a request that they hand on.
FORWARDED = (
    "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
    "X-Scheme", "Fly-Client-Ip",
)  # fmt: skip


def refusal(environ: Mapping[str, str]) -> str:
    """Return why Flower must not start: it would show the tasks to whoever reaches it."""
    basic = environ.get("FLOWER_BASIC_AUTH", "")
    if not basic and not environ.get("FLOWER_AUTH_PROVIDER"):
        return "Flower needs a login: set FLOWER_BASIC_AUTH=name:password, or OAuth's variables."
    if basic and not all(re.fullmatch("[^:]+:.+", login) for login in basic.split(",")):
        return "FLOWER_BASIC_AUTH must be name:password, or several of them with commas between."
    if environ.get("FLOWER_AUTH_PROVIDER") and (
        missing := [o for o in OAUTH if not environ.get(o)]
    ):
        # Without FLOWER_AUTH, Flower would let in everybody without asking the provider.
        return f"Flower's login by FLOWER_AUTH_PROVIDER needs {', '.join(missing)} too."
    if not validate_auth_option(environ.get("FLOWER_AUTH", "")):
        return "FLOWER_AUTH must name addresses (a@x.org|b@x.org) or one domain (.*@x.org)."
    return ""


def install() -> None:
    """Put what is here in place of Flower's own."""
    urls.handlers[:0] = [(r"/metrics", Metrics), (r"/healthcheck", Healthcheck), (r"", Prefix)]
    Events.run = receive
    flower_login.install()


class Metrics(monitor.Metrics):  # type: ignore[misc]
    """Flower's metrics, for who is logged in."""

    async def prepare(self) -> None:
        if await flower_login.pay(self) and not self.current_user:
            raise HTTPError(401)


class Healthcheck(monitor.Healthcheck):  # type: ignore[misc]
    """Flower's health, for who is logged in, and for a check on the machine or next to it."""

    async def prepare(self) -> None:
        if asked_from_nearby(self.request):
            return
        if await flower_login.pay(self) and not self.current_user:
            raise HTTPError(401)


class Prefix(BaseHandler):  # type: ignore[misc]
    """The URL prefix without its slash, to which Flower sends who has logged in."""

    def get(self) -> None:
        self.redirect(f"{self.request.path}/")


def asked_from_nearby(request: HTTPServerRequest) -> bool:
    """Return whether a request came from a private address, and through no proxy."""
    # The socket's own peer: `remote_ip` is what headers say.
    peer = getattr(request.connection, "context").address  # noqa: B009 - not in Tornado's types
    if not isinstance(peer, tuple) or any(name in request.headers for name in FORWARDED):
        return False
    return ipaddress.ip_address(peer[0].partition("%")[0]).is_private


def receive(events: Any) -> None:
    """Receive the workers' events for ever, soon again after an outage of the broker.

    Flower's own waits twice as long after each attempt: as long again as the outage was.
    """
    while True:
        try:
            with events.capp.connection() as connection:
                receiver = EventReceiver(
                    connection, handlers={"*": events.on_event}, app=events.capp
                )
                receiver.capture(limit=None, timeout=None, wakeup=True)
        except Exception as error:
            logger.warning("flower.broker_lost", extra={"error": type(error).__name__})
            time.sleep(RETRY_SECONDS)
