"""What uvicorn runs: the API and the admin, and live streams beside them."""

from __future__ import annotations

import gc
import resource
from contextlib import suppress
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import autodiscover_modules

if TYPE_CHECKING:
    from config.web.gateway import Gateway

# Each stream is a connection, and many systems allow a process 1,024 files at first.
FILES = 65_536
# Objects more than before, at which garbage is looked for.
GARBAGE = 10_000


def gateway() -> Gateway:
    """Make the application, once the apps are loaded."""
    from accounts.authentication import still_valid
    from config import urls  # noqa: F401 - with all views, which would be loaded by the first request
    from config.rendering import JSONRenderer
    from config.web.gateway import Gateway
    from events.stream import Hub

    autodiscover_modules("streams")
    hub = Hub(
        still_valid=still_valid,
        render=JSONRenderer().render,
        per_person=settings.STREAMS_PER_PERSON,
        most=settings.STREAMS_PER_PROCESS,
        vitals=wsgi.vitals,
    )
    return Gateway(wsgi.application, hub=hub, threads=settings.WEB.web_threads)


def allow_files() -> None:
    """Raise the number of files that the process may have open, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):  # a unit of systemd may forbid it, and sets its own
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def rest_memory() -> None:
    """Spare requests the search of all that is loaded for garbage: it took 0.1 s each time.

    A page of cards makes a few thousand objects, a few hundred of them in cycles: with Python's
    thresholds, somebody's request pays for others' garbage every time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE, 10, 10)


allow_files()

from config import wsgi  # noqa: E402 - it loads the apps, which takes a while

application = gateway()
rest_memory()
