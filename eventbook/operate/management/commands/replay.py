"""`manage.py replay`: deliver stored events again."""

from __future__ import annotations

import time
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from eventbook.conf import conf
from eventbook.operate.management.options import moment, pace
from eventbook.operate.queries.deliveries import open_count
from eventbook.operate.texts import report
from eventbook.store import replay
from eventbook.store.replay import InvalidSelection, Progress, Selection


class Command(BaseCommand):
    help = "Deliver stored events again (handlers are idempotent)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--handler", default="", help="a handler, for example `feeds.fan_out`")
        parser.add_argument("--type", default="", help="an event type, for example `card.added`")
        parser.add_argument("--since", type=moment, help="from this ISO 8601 date or time on (UTC)")
        parser.add_argument("--until", type=moment, help="before this ISO 8601 date or time (UTC)")
        parser.add_argument("--event", type=UUID, help="the id of one event")
        parser.add_argument("--rate", type=pace, help="deliveries a second for each handler")
        parser.add_argument("--dry-run", action="store_true", help="count only, change nothing")
        parser.add_argument("--wait", action="store_true", help="wait until all are delivered")
        parser.add_argument("--json", action="store_true", help="as JSON, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        fields = ("handler", "type", "since", "until", "event")
        try:
            selection = Selection(**{name: options[name] for name in fields})
            results = self.run(selection, options)
        except InvalidSelection as error:
            raise CommandError(str(error)) from error
        self.show(results, options)
        self.warn(selection)
        if options["wait"] and not options["dry_run"]:
            self.wait(results)

    def run(self, selection: Selection, options: dict[str, Any]) -> list[Progress]:
        """Replay the events, or with --dry-run count what a replay would do."""
        if options["dry_run"]:
            return replay.count(selection)
        return replay.replay(
            selection, actor="command line", rate=options["rate"], report=self.show_progress
        )

    def show_progress(self, progress: Progress) -> None:
        """Show the progress, unless the output goes to a program."""
        if self.stderr.isatty():
            text = f"\r{progress.handler}: {progress.events} events …"
            self.stderr.write(text, ending="")

    def show(self, results: list[Progress], options: dict[str, Any]) -> None:
        """Print the number of deliveries that were replayed, or would be."""
        begin = "would be replayed" if options["dry_run"] else "replayed"
        lines = (
            f"{begin}: {result.new + result.again} deliveries to {result.handler}"
            f" ({result.new} new, {result.again} again; {result.still_open} still open)"
            for result in results
        )
        found = [asdict(result) for result in results]
        self.stdout.write(report(found, lines, as_json=options["json"]))

    def warn(self, selection: Selection) -> None:
        """Warn if the replay's period begins before the oldest event that is kept."""
        days = conf.KEEP_EVENTS_DAYS
        if days and not selection.event:
            oldest = timezone.now() - timedelta(days=days)
            if selection.since is None or selection.since < oldest:
                self.stderr.write(
                    f"Events older than {days} days (KEEP_EVENTS_DAYS) are deleted: nothing before"
                    f" {oldest:%Y-%m-%d} can be replayed."
                )

    def wait(self, results: list[Progress]) -> None:
        """Wait until no delivery is open for the replayed handlers."""
        names = [result.handler for result in results]
        while left := open_count(names):
            self.stdout.write(f"{left} still open")
            self.stdout.flush()
            time.sleep(1)
        self.stdout.write("All deliveries are done or dead.")
