#!/usr/bin/env python
"""Django's command line; with no servers given, the embedded ones run while a command does."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import nullcontext

# Seconds until a statement is given up (DATABASE_REPLY_SECONDS; 0 for never). The relay begins
# anew, whoever asks the doctor wants an answer, and a migration takes as long as it takes; workers
# and operators have the longest that a handler may take.
PATIENCE = {
    "relay": "30", "doctor": "15", "exporter": "5", "migrate": "0",
    # These work in small steps, and somebody waits at a terminal.
    "queues": "30", "dead-letters": "30", "replay": "60", "rebuild_feeds": "60",
}  # fmt: skip


def main() -> None:
    """Run one management command."""
    from stack.terminal import allow_any_text

    allow_any_text()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    seconds = PATIENCE.get(" ".join(sys.argv[1:2]), "300")
    os.environ.setdefault("DATABASE_REPLY_SECONDS", seconds)
    if sys.argv[1:2] == ["migrate"]:
        # Less than a request waits for an answer: it may have to wait behind us (server/wsgi.py).
        os.environ.setdefault("DATABASE_LOCK_SECONDS", "2")
    if sys.argv[1:2] == ["worker"]:
        from config.queues import group_of

        # Settings, logs, traces and connections to the database know the process by it.
        group = os.environ.get("FLY_PROCESS_GROUP") or group_of(sys.argv[2:])
        os.environ.setdefault("PROCESS_NAME", group)
    # Nothing that is loaded now is garbage, and looking for some takes a tenth of the time.
    gc.disable()
    import django

    django.setup()
    gc.freeze()
    gc.enable()
    run()


def run() -> None:
    """Run the command, with the embedded servers if it needs them and there are no others."""
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from config.management.refusals import in_a_line, is_expected

    if settings.EMBEDDED and needs_servers(sys.argv):
        from stack import embedded

        servers = embedded.using(settings.DATA_DIR)
    else:
        servers = nullcontext()
    try:
        with servers:
            execute_from_command_line(sys.argv)
    except Exception as error:
        if "--traceback" in sys.argv or not is_expected(error):
            raise
        sys.exit(in_a_line(error))


def needs_servers(argv: list[str]) -> bool:
    """Return whether the command touches the database or the broker."""
    return len(argv) > 1 and argv[1] not in {
        *("help", "version", "collectstatic", "spectacular", "alert_rules")
    }


if __name__ == "__main__":
    main()
