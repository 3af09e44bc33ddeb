"""The web process, as granian runs it: the API and the admin, and live streams beside them."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.module_loading import autodiscover_modules

from config import wsgi

if TYPE_CHECKING:
    from config.gateway import Gateway

# Each stream is a connection, and many systems allow a process 1,024 files at first.
FILES = 65_536


def gateway() -> Gateway:
    """This makes what granian runs, once the apps are loaded."""
    from rest_framework.renderers import JSONRenderer

    from accounts.authentication import still_valid
    from config.gateway import Gateway
    from events.stream import Hub

    autodiscover_modules("streams")
    hub = Hub(
        still_valid=still_valid,
        render=JSONRenderer().render,
        per_person=settings.STREAMS_PER_PERSON,
        most=settings.STREAMS_PER_PROCESS,
        vitals=wsgi.vitals,
    )
    return Gateway(wsgi.application, hub=hub, threads=settings.WEB_THREADS)


def allow_files() -> None:
    """This raises the number of files that the process may have open, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


allow_files()
application = gateway()
