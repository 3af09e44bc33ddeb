"""`manage.py alert_rules`: print the Prometheus rules file."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from eventbook.operate.metrics.rules import rules_file


class Command(BaseCommand):
    help = "Print the Prometheus rules file (deploy/prometheus/rules.yml)."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(rules_file(), ending="")
