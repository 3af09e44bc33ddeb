"""`manage.py doctor`: check an installation and say what to do."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from eventbook.operate.diagnosis import diagnose


class Command(BaseCommand):
    help = "Check the database, broker, relay, workers and queues, and say what to do."
    requires_system_checks = []  # A failing check would stop the doctor before its report.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as JSON, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(diagnose())
        if options["json"]:
            rows = [dataclasses.asdict(finding) for finding in findings]
            self.stdout.write(json.dumps(rows, indent=2))
        else:
            for finding in findings:
                mark = self.style.SUCCESS("ok ") if finding.well else self.style.ERROR("BAD")
                self.stdout.write(f"{mark} {finding.subject}: {finding.text}")
                if finding.advice:
                    self.stdout.write(f"    → {finding.advice}")
        if not all(finding.well for finding in findings):
            raise SystemExit(1)
