"""`manage.py dead-letters`: list, show, replay or discard dead letters."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventbook.models import Delivery
from eventbook.operate import actions
from eventbook.operate.actions import DeadLetters
from eventbook.operate.management.options import moment, positive
from eventbook.operate.queries.deliveries import dead_letters
from eventbook.operate.texts import confirm, last_line, report

ACTIONS = {
    "list": "show the newest dead letters",
    "show": "show dead letters in full: the event, and every attempt with its traceback",
    "replay": "deliver dead letters again, with all their attempts",
    "discard": "discard dead letters for good; their rows stay",
}
FILTERS = ("queue", "handler", "type", "error", "since", "until")


class Command(BaseCommand):
    help = "List, show, replay or discard dead letters: deliveries that have no attempt left."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in ACTIONS.items():
            action = actions.add_parser(name, help=text)
            action.add_argument("ids", nargs="*", type=int, metavar="ID", help="delivery ids")
            action.add_argument("--json", action="store_true", help="as JSON, for programs")
            action.add_argument("--queue", default="")
            action.add_argument("--handler", default="")
            action.add_argument("--type", default="", help="event type, for example `card.added`")
            action.add_argument("--error", default="", help="words in the last error")
            action.add_argument("--since", type=moment, help="died at or after this time")
            action.add_argument("--until", type=moment, help="died before this time")
            if name in ("list", "show"):
                action.add_argument("--limit", type=positive, default=50)
            else:
                action.add_argument("--all", action="store_true", help="all dead letters")
                action.add_argument(
                    "--limit", type=positive, metavar="N", help="only N of them, the oldest first"
                )
            if name == "discard":
                action.add_argument("--yes", action="store_true", help="without asking")
                action.add_argument(
                    "--removed", metavar="HANDLER", help="all open deliveries of a removed handler"
                )

    def handle(self, *args: Any, **options: Any) -> None:
        filters = {name: options[name] for name in FILTERS}
        which = DeadLetters(ids=options["ids"] or None, **filters)
        if options["action"] in ("list", "show"):
            letters = dead_letters(which, limit=options["limit"])
            self.write(letters, whole=options["action"] == "show", as_json=options["json"])
            return
        if options.get("removed"):
            self.discard_removed(options["removed"], as_json=options["json"])
            return
        if which == DeadLetters() and not options["all"] and options["limit"] is None:
            raise CommandError("Give ids, a filter such as --queue or --error, --limit, or --all.")
        which = dataclasses.replace(which, limit=options["limit"])
        if options["action"] == "discard" and not options["yes"]:
            self.confirm(which)
        act = {
            "replay": actions.replay_dead_letters,
            "discard": actions.discard_dead_letters,
        }[options["action"]]
        count = act(which, actor="command line")
        text = f"{options['action']}: {count} dead letters"
        self.stdout.write(json.dumps({"count": count}) if options["json"] else text)

    def confirm(self, which: DeadLetters) -> None:
        """Raise CommandError unless the user confirms; a script, without a terminal, need not."""
        if sys.stdin.isatty():
            count = which.deliveries().count()
            if not confirm(f"Discard these {count} dead letters for good?"):
                raise CommandError("Nothing was discarded.")

    def discard_removed(self, handler: str, *, as_json: bool) -> None:
        """Discard the open deliveries of a handler that no longer exists."""
        try:
            count = actions.discard_removed(handler, actor="command line")
        except ValueError as error:
            raise CommandError(str(error)) from error
        text = f"discard: {count} deliveries to {handler}"
        self.stdout.write(json.dumps({"count": count}) if as_json else text)

    def write(self, letters: list[Delivery], *, whole: bool, as_json: bool) -> None:
        """Print dead letters: with `whole`, their events and attempts too."""
        found = [as_dict(letter, whole=whole) for letter in letters]
        lines = [
            f"{as_line(letter)}\n{details_of(letter)}" if whole else as_line(letter)
            for letter in letters
        ]
        self.stdout.write(report(found, lines or ["No dead letters."], as_json=as_json))


def as_line(letter: Delivery) -> str:
    """Return a dead letter as one line of text."""
    return (
        f"{letter.pk}  {letter.queue}  {letter.handler}  {letter.event.type}"
        f" {letter.event_id}  {letter.attempts} attempts  {last_line(letter.error)[:120]}"
    )


def details_of(letter: Delivery) -> str:
    """Return a dead letter's event and every attempt, with tracebacks, as text."""
    parts = [f"  event: {letter.event.subject}, {json.dumps(letter.event.data)}"]
    for attempt in letter.failures.all():
        parts.append(
            f"  attempt {attempt.number} at {attempt.failed_at:%F %T %Z} on {attempt.worker}:"
        )
        parts += [f"    {line}" for line in attempt.error.strip().splitlines()]
    return "\n".join(parts)


def as_dict(letter: Delivery, *, whole: bool) -> dict[str, Any]:
    """Return a dead letter as a dict for JSON: with `whole`, its event and attempts too."""
    found: dict[str, Any] = {
        "id": letter.pk,
        "queue": letter.queue,
        "handler": letter.handler,
        "event": str(letter.event_id),
        "type": letter.event.type,
        "attempts": letter.attempts,
        "died_at": letter.finished_at.isoformat() if letter.finished_at else None,
        "error": letter.error,
    }
    if whole:
        found["subject"], found["data"] = letter.event.subject, letter.event.data
        found["failures"] = [
            {
                "number": attempt.number,
                "worker": attempt.worker,
                "at": attempt.failed_at.isoformat(),
                "error": attempt.error,
            }
            for attempt in letter.failures.all()
        ]
    return found
