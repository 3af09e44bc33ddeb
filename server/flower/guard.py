"""Changes to Flower: require a login everywhere, and reconnect soon to a broker that was away.

`server/flower/flowerconfig.py` calls `refusal` and `install` before Flower starts.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from celery.events import EventReceiver
from flower import urls
from flower.app import Flower
from flower.events import Events
from flower.utils.authentication import validate_auth_option
from flower.views import BaseHandler, monitor
from tornado.httputil import HTTPServerRequest
from tornado.web import HTTPError

from server.flower import login as flower_login

logger = logging.getLogger(__name__)

# The pause between two attempts to reach the broker; an attempt takes up to 4 s.
RETRY_SECONDS = 2
THREADS = 8  # of calls to workers and the broker at a time
OAUTH = ("FLOWER_AUTH", "FLOWER_OAUTH2_KEY", "FLOWER_OAUTH2_SECRET", "FLOWER_OAUTH2_REDIRECT_URI")
# Headers that proxies add to forwarded requests.
FORWARDED = (
    "Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip",
    "X-Scheme", "Fly-Client-Ip",
)  # fmt: skip


def refusal(environ: Mapping[str, str]) -> str:
    """Return why Flower must not start with this environment; empty if it may.

    Without a valid login, Flower would show tasks to everybody who can reach it.
    """
    basic = environ.get("FLOWER_BASIC_AUTH", "")
    if not basic and not environ.get("FLOWER_AUTH_PROVIDER"):
        return "Flower needs a login: set FLOWER_BASIC_AUTH=name:password, or OAuth's variables."
    if basic and not all(re.fullmatch("[^:]+:.+", login) for login in basic.split(",")):
        return "FLOWER_BASIC_AUTH must be name:password, or several of them with commas between."
    if not basic.isascii():
        return "FLOWER_BASIC_AUTH must be ASCII: Flower can't compare other characters."
    if environ.get("FLOWER_AUTH_PROVIDER") and (
        missing := [o for o in OAUTH if not environ.get(o)]
    ):
        # Without FLOWER_AUTH, Flower would admit everybody without contacting the provider.
        return f"Flower's login by FLOWER_AUTH_PROVIDER needs {', '.join(missing)} too."
    if not validate_auth_option(environ.get("FLOWER_AUTH", "")):
        return "FLOWER_AUTH must name addresses (a@x.org|b@x.org) or one domain (.*@x.org)."
    return ""


def install() -> None:
    """Replace parts of Flower by the ones in this module."""
    urls.handlers[:0] = [(r"/metrics", Metrics), (r"/healthcheck", Healthcheck), (r"", Prefix)]
    Events.run = receive
    Flower.pool_executor_cls = DaemonThreads
    flower_login.install()


class Metrics(monitor.Metrics):  # type: ignore[misc]
    """Flower's metrics, for logged-in users only."""

    async def prepare(self) -> None:
        if await flower_login.limit_login(self) and not self.current_user:
            raise HTTPError(401)


class Healthcheck(monitor.Healthcheck):  # type: ignore[misc]
    """Flower's health check, for logged-in users, and for checks from a private address."""

    async def prepare(self) -> None:
        if is_from_nearby(self.request):
            return
        if await flower_login.limit_login(self) and not self.current_user:
            raise HTTPError(401)


class Prefix(BaseHandler):  # type: ignore[misc]
    """Redirects from the URL prefix without a slash, where Flower sends users after the login."""

    def get(self) -> None:
        self.redirect(f"{self.request.path}/")


class DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread, at most `max_workers` at a time.

    Flower's own executor is joined at exit. But while RabbitMQ is away, kombu never stops trying to
    send a command, so that Flower would not end before it is killed, nor save what it has seen.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        super().__init__(max_workers)  # starts no thread; asyncio insists on its class
        self._free = threading.BoundedSemaphore(max_workers or THREADS)

    def submit(self, call: Any, /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            with self._free:
                if not future.set_running_or_notify_cancel():
                    return
                try:
                    future.set_result(call(*args, **options))
                except BaseException as error:
                    future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


def is_from_nearby(request: HTTPServerRequest) -> bool:
    """Return whether a request came from a private address and through no proxy."""
    # The socket's own peer, since clients can forge `remote_ip` by a header.
    peer = getattr(request.connection, "context").address  # noqa: B009 - not in Tornado's types
    if not isinstance(peer, tuple) or any(name in request.headers for name in FORWARDED):
        return False
    return ipaddress.ip_address(peer[0].partition("%")[0]).is_private


def receive(events: Any) -> None:
    """Receive the workers' events for ever; after an outage of the broker, reconnect in seconds.

    Flower's own loop doubles its pause after each attempt, so that it stays away twice as long as
    the outage.
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
