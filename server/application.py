"""The ASGI application that uvicorn runs: the API, the admin and live streams."""

from __future__ import annotations

import gc
import resource
from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings
from django.urls import get_resolver
from django.utils.module_loading import autodiscover_modules

if TYPE_CHECKING:
    from server.gateway import Gateway

# Open files to allow: each stream is a connection, and many systems start with a limit of 1,024.
OPEN_FILES = 65_536
# New objects after which Python's garbage collector runs; Python's default is far lower.
GC_THRESHOLD = 10_000


def gateway() -> Gateway:
    """Return the ASGI application; Django's apps must be loaded."""
    from accounts.authentication import still_valid
    from api.rendering import JSONRenderer
    from eventbook.stream import Hub
    from server.gateway import Gateway

    get_resolver().url_patterns  # noqa: B018 - loads all views; the first request would wait for it
    autodiscover_modules("streams")
    hub = Hub(
        still_valid=still_valid,
        render=JSONRenderer().render,
        per_person=settings.STREAMS_PER_PERSON,
        most=settings.STREAMS_PER_PROCESS,
        vitals=wsgi.vitals,
    )
    return Gateway(wsgi.application, hub=hub, threads=settings.WEB.web_threads)


def raise_file_limit() -> None:
    """Raise the limit of open files to OPEN_FILES, or to the hard limit if that is lower."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # systemd may forbid it; its unit sets the limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def tune_garbage_collection() -> None:
    """Make garbage collection rare, and keep it away from the objects of loaded modules.

    With Python's defaults, full collections scan all loaded code during requests, 0.1 s each time:
    a page of cards creates a few thousand objects, a few hundred of them in cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 10, 10)


raise_file_limit()

from server import wsgi  # noqa: E402 - loads Django's apps, so only after the limit is raised

application = gateway()
tune_garbage_collection()
