from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from celery import current_app
from celery.utils.nodenames import host_format
from django.core.management.base import BaseCommand, CommandError, CommandParser

from events.queues import QueuePolicy, UnknownQueue, policy_of
from events.worker import Worker


class Command(BaseCommand):
    help = "Run the workers of one queue (or of several), as the queue table says."
    requires_system_checks = []  # A release is checked when it migrates.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="+", metavar="QUEUE")

    def handle(self, *args: Any, queues: list[str], **options: Any) -> None:
        try:
            policies = [policy_of(queue) for queue in queues]
        except UnknownQueue as error:
            raise CommandError(str(error)) from error
        with suppress(PermissionError):  # where a sandbox forbids it
            os.nice(min(policy.niceness for policy in policies))
        # In this very process, without Celery's own command: it would load all of this once more.
        worker = Worker(app=current_app, **worker_options(policies))
        worker.start()
        sys.exit(worker.exitcode)


def worker_options(policies: list[QueuePolicy]) -> dict[str, Any]:
    """Return how Celery runs the worker of these queues."""
    names = [policy.name for policy in policies]
    # Two nodes of one name could not be told apart; on one machine they have numbers.
    number = os.environ.get("PROCESS_NUMBER", "1")
    node = "+".join(names) + ("" if number == "1" else f"-{number}")
    return {
        "queues": names,
        "hostname": host_format(f"{node}@%h"),
        # A process each: one that crashes, hangs or eats memory takes no other down with it.
        "pool": "events.pool:Pool",
        "concurrency": sum(policy.concurrency for policy in policies),
        "max_tasks_per_child": 10000,
        "loglevel": os.environ.get("LOG_LEVEL", "INFO"),
        "quiet": True,
        "without_gossip": True,
        "without_mingle": True,
    }
