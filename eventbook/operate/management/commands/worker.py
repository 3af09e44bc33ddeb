"""`manage.py worker`: run a Celery worker for one or several queues."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any

from celery import current_app
from celery.utils.nodenames import host_format
from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventbook.brokers.lanes import Kind, kind_of, lane_names
from eventbook.brokers.worker import Worker
from eventbook.declare.queues import QueuePolicy, UnknownQueue, policy_of


class Command(BaseCommand):
    help = "Run a worker for one or several queues, by the numbers in the queue table."
    requires_system_checks = []  # `migrate` has run them for this release.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="+", metavar="QUEUE")

    def handle(self, *args: Any, queues: list[str], **options: Any) -> None:
        try:
            policies = [policy_of(queue) for queue in queues]
        except UnknownQueue as error:
            raise CommandError(str(error)) from error
        if kind_of(current_app.conf.broker_url) == Kind.NONE:
            raise CommandError(
                "BROKER_URL is none: the relay runs the handlers, and needs no worker."
            )
        with suppress(PermissionError):  # a sandbox may forbid it
            os.nice(min(policy.niceness for policy in policies))
        # Not by Celery's own command, which would load Django and all apps a second time.
        worker = Worker(app=current_app, **worker_options(policies))
        worker.start()
        sys.exit(worker.exitcode)


def worker_options(policies: list[QueuePolicy]) -> dict[str, Any]:
    """Return the options of Celery's worker for these queues."""
    names = [policy.name for policy in policies]
    broker_url = current_app.conf.broker_url
    # Node names must be unique: processes on one machine have numbers.
    number = os.environ.get("PROCESS_NUMBER", "1")
    node = "+".join(names) + ("" if number == "1" else f"-{number}")
    return {
        "queues": [lane for name in names for lane in lane_names(broker_url, name)],
        "hostname": host_format(f"{node}@%h"),
        # Child processes: one that crashes, hangs or leaks memory leaves the others alone.
        "pool": "eventbook.brokers.pool:Pool",
        "concurrency": sum(policy.concurrency for policy in policies),
        "max_tasks_per_child": 10000,
        "loglevel": os.environ.get("LOG_LEVEL", "INFO"),
        "quiet": True,
        "without_gossip": True,
        "without_mingle": True,
    }
