from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from events.queues import QueuePolicy, UnknownQueue, policy_of


class Command(BaseCommand):
    help = "Run the workers of one queue (or of several), as the queue table says."
    requires_system_checks = []  # Celery loads and checks the project once more.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="+", metavar="QUEUE")

    def handle(self, *args: Any, queues: list[str], **options: Any) -> None:
        try:
            policies = [policy_of(queue) for queue in queues]
        except UnknownQueue as error:
            raise CommandError(str(error)) from error
        # Celery takes this process over: signals reach it without a process in between.
        os.environ.setdefault("PROCESS_NAME", f"{'+'.join(queues)}-worker")
        os.execv(sys.executable, [sys.executable, *command_line(policies)])


def command_line(policies: list[QueuePolicy]) -> list[str]:
    """This answers Python's arguments that start the Celery worker of these queues."""
    names = [policy.name for policy in policies]
    return [
        *("-m", "celery", "--quiet", "--app", "config", "worker"),
        *("--queues", ",".join(names)),
        *("--hostname", f"{'+'.join(names)}@%h"),
        # A process each: one that crashes, hangs or eats memory takes no other down with it.
        *("--pool", "prefork"),
        *("--concurrency", str(sum(policy.concurrency for policy in policies))),
        *("--max-tasks-per-child", "10000"),
        *("--loglevel", os.environ.get("LOG_LEVEL", "INFO")),
        "--without-gossip",
        "--without-mingle",
    ]
