from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

from events.processes.presence import appear, process_group
from events.processes.vitals import Vitals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Requests share a few connections; every other kind of process keeps one of its own.
os.environ.setdefault("DATABASE_POOL_SIZE", "4")
os.environ.setdefault("DATABASE_PREPARE", "1")
# Somebody waits for the answer: better none within five seconds than one after that.
os.environ.setdefault("DATABASE_REPLY_SECONDS", "4")

application = get_wsgi_application()

vitals = Vitals()
# A process that has a name is one of the system; what else imports this is a tool or a test.
presence = appear(group, vitals) if (group := process_group("")) else None


def leave() -> None:
    """Take the process off the list of those that run."""
    if presence is not None:
        presence.stop()
