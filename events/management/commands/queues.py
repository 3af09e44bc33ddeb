from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from events import queries

COLUMNS = {
    "queue": "queue",
    "waiting": "waiting",
    "in_progress": "in progress",
    "retrying": "retrying",
    "dead": "dead",
    "oldest_seconds": "oldest s",
    "done": "done 5 min",
    "p50_ms": "p50 ms",
    "p95_ms": "p95 ms",
    "p99_ms": "p99 ms",
}


class Command(BaseCommand):
    help = "Show what waits, runs, fails and is done in each queue."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        status = actions.add_parser("status", help="the figures of every queue")
        status.add_argument("--json", action="store_true", help="as JSON, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [dataclasses.asdict(row) for row in queries.queue_status()]
        if options["json"]:
            lag = queries.relay_lag_seconds()
            self.stdout.write(json.dumps({"queues": rows, "relay_lag_seconds": lag}, indent=2))
            return
        table = [list(COLUMNS.values())]
        table += [
            ["–" if row[name] is None else str(row[name]) for name in COLUMNS] for row in rows
        ]
        widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
        for row in table:
            _, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join([row[0].ljust(widths[0]), *rest]))
