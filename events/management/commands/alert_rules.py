from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from events.metrics.rules import rules_file
from events.queues import all_policies


class Command(BaseCommand):
    help = "Print Prometheus' rules for the queue table in force (deploy/prometheus/rules.yml)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(rules_file(list(all_policies().values())), ending="")
