#!/usr/bin/env python
"""Django's command line; without configured servers, embedded ones run while a command does."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import AbstractContextManager, nullcontext

# The time limit of a statement, in seconds, by command (DATABASE_REPLY_SECONDS; 0: none). The relay
# tries again after a timeout. A user waits for the commands that operate queues, which work in
# small steps. A migration may take any time.
REPLY_SECONDS = {
    "relay": "30", "doctor": "15", "exporter": "5", "migrate": "0",
    "queues": "30", "dead-letters": "30", "replay": "60", "rebuild_feeds": "60", "bridge": "30",
}  # fmt: skip
# Of every other command, workers above all: the longest time that a handler may take.
LONGEST_REPLY_SECONDS = "300"


def main() -> None:
    """Run one management command."""
    from stack.terminal import allow_any_text

    allow_any_text()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    command = " ".join(sys.argv[1:2])
    seconds = REPLY_SECONDS.get(command, LONGEST_REPLY_SECONDS)
    os.environ.setdefault("DATABASE_REPLY_SECONDS", seconds)
    if command == "migrate":
        # Requests queue behind a migration that waits for a lock. They wait for 4 seconds at most
        # (server/wsgi.py), so a migration must give up earlier.
        os.environ.setdefault("DATABASE_LOCK_SECONDS", "2")
    # Garbage collection finds nothing while code is loaded, and takes a tenth of the time.
    gc.disable()
    import django
    from django.core.exceptions import ImproperlyConfigured

    try:
        django.setup()
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    gc.freeze()
    gc.enable()
    run()


def run() -> None:
    """Run the command, with the embedded servers if it needs them and there are no others."""
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from config.command_errors import is_expected, one_line

    servers: AbstractContextManager[object] = nullcontext()
    if settings.EMBEDDED and needs_servers(sys.argv):
        from stack import embedded

        servers = embedded.using(settings.DATA_DIR)
    try:
        with servers:
            execute_from_command_line(sys.argv)
    except Exception as error:
        if "--traceback" in sys.argv or not is_expected(error):
            raise
        sys.exit(one_line(error))


def needs_servers(argv: list[str]) -> bool:
    """Return whether the command touches the database or the broker."""
    return len(argv) > 1 and argv[1] not in {
        *("help", "version", "collectstatic", "spectacular", "alert_rules")
    }


if __name__ == "__main__":
    main()
