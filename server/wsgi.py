"""Django's WSGI application, and the settings that differ in web processes.

This module must be imported before the settings are loaded.
"""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from eventbook.observe import Vitals, process_group, register_process

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A web process shares a small pool of connections among its requests; every other kind of process
# has one connection.
os.environ.setdefault("DATABASE_POOL_SIZE", "4")
os.environ.setdefault("DATABASE_PREPARE", "1")
# A user is waiting: an error within 5 seconds is better than a later response.
os.environ.setdefault("DATABASE_REPLY_SECONDS", "4")

application = get_wsgi_application()

vitals = Vitals()
# Only a process with a name (PROCESS_NAME) is listed as running; tools and tests import this module
# too.
presence = register_process(group, vitals) if (group := process_group("")) else None


def leave() -> None:
    """Remove this process from the list of running processes."""
    if presence is not None:
        presence.stop()
