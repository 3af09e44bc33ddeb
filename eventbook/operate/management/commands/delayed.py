"""`manage.py delayed`: list, cancel and reschedule events that wait for their time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from eventbook.models import OutboxEntry
from eventbook.operate import actions
from eventbook.operate.management.options import moment, positive
from eventbook.operate.queries.delayed import delayed_events, delayed_ids
from eventbook.operate.texts import report

ACTOR = "command line"


class Command(BaseCommand):
    help = "List, cancel and reschedule events that wait for their time (run_at)."

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="action", required=True)
        listing = subparsers.add_parser("list", help="list delayed events, the first due first")
        listing.add_argument("--type", default="", help="event type, as `card.added`")
        listing.add_argument("--limit", type=positive, default=50)
        cancel = subparsers.add_parser("cancel", help="delete delayed events: they never happen")
        move = subparsers.add_parser("reschedule", help="change the time of delayed events")
        move.add_argument(
            "--at", type=moment, help="ISO 8601, UTC without an offset; now if left out"
        )
        for action in (cancel, move):
            action.add_argument("keys", nargs="+", metavar="KEY", help="the key of an event")
        for action in (listing, cancel, move):
            action.add_argument("--json", action="store_true", help="as JSON, for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["action"] == "list":
            found = delayed_events(type=options["type"], limit=options["limit"])
            lines = map(as_line, found) if found else ["No events wait for their time."]
            self.stdout.write(report(list(map(as_dict, found)), lines, as_json=options["json"]))
            return
        ids = delayed_ids(options["keys"])
        if missing := sorted(set(options["keys"]) - ids.keys()):
            raise CommandError(f"No delayed event has the key {', '.join(missing)}.")
        chosen = list(ids.values())
        if options["action"] == "cancel":
            count = actions.cancel_delayed(chosen, actor=ACTOR)
        else:
            at = options["at"] or timezone.now()
            count = actions.reschedule_delayed(chosen, run_at=at, actor=ACTOR)
        late = f"; {len(chosen) - count} ran already" if count < len(chosen) else ""
        text = f"{options['action']}: {count} events{late}"
        self.stdout.write(report({"count": count}, [text], as_json=options["json"]))


def as_dict(entry: OutboxEntry) -> dict[str, Any]:
    """Return a delayed event as a dict for JSON."""
    event = entry.event
    return {
        "event": event.pk,
        "type": event.type,
        "key": event.key,
        "subject": event.subject,
        "recorded_at": event.recorded_at,
        "run_at": entry.due_at,
    }


def as_line(entry: OutboxEntry) -> str:
    """Return a delayed event as one line of text."""
    event = entry.event
    return f"{entry.due_at:%F %T %Z}  {event.type}  {event.subject}  {event.key or event.pk}"
