"""`manage.py doctor`: check an installation and say what to do."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from eventbook.operate.diagnosis import diagnose
from eventbook.operate.texts import report


class Command(BaseCommand):
    help = "Check the database, broker, relay, workers and queues, and say what to do."
    requires_system_checks = []  # A failing check would stop the doctor before its report.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as JSON, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = list(diagnose())
        rows, lines = [dataclasses.asdict(finding) for finding in findings], []
        for finding in findings:
            mark = self.style.SUCCESS("ok ") if finding.well else self.style.ERROR("BAD")
            lines.append(f"{mark} {finding.subject}: {finding.text}")
            if finding.advice:
                lines.append(f"    → {finding.advice}")
        self.stdout.write(report(rows, lines, as_json=options["json"]))
        if not all(finding.well for finding in findings):
            raise SystemExit(1)
