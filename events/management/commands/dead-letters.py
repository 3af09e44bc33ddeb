from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from events import queries, services
from events.services import DeadLetters

ACTIONS = {
    "list": "show the newest dead letters",
    "replay": "give them all their attempts again",
    "discard": "give them up for good; their record stays",
}


class Command(BaseCommand):
    help = "Deliveries that failed as often as they may: list, replay or discard them."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        for name, text in ACTIONS.items():
            action = actions.add_parser(name, help=text)
            action.add_argument("ids", nargs="*", type=int, metavar="ID", help="delivery ids")
            action.add_argument("--queue", default="")
            action.add_argument("--handler", default="")
            if name == "list":
                action.add_argument("--limit", type=int, default=50)
                action.add_argument("--json", action="store_true", help="as JSON, for programs")
            else:
                action.add_argument("--all", action="store_true", help="all dead letters")

    def handle(self, *args: Any, **options: Any) -> None:
        which = DeadLetters(
            ids=options["ids"] or None, queue=options["queue"], handler=options["handler"]
        )
        if options["action"] == "list":
            self.list(which, limit=options["limit"], as_json=options["json"])
            return
        if which == DeadLetters() and not options["all"]:
            self.stderr.write("Say which: ids, --queue, --handler, or --all.")
            raise SystemExit(2)
        act = {
            "replay": services.replay_dead_letters,
            "discard": services.discard_dead_letters,
        }[options["action"]]
        count = act(which, actor="command line")
        self.stdout.write(f"{options['action']}: {count} dead letters")

    def list(self, which: DeadLetters, *, limit: int, as_json: bool) -> None:
        """This prints the newest dead letters."""
        letters = queries.dead_letters(which, limit=limit)
        if as_json:
            self.stdout.write(json.dumps([describe(letter) for letter in letters], indent=2))
            return
        for letter in letters:
            reason = letter.error.strip().splitlines()[-1:] or [""]
            self.stdout.write(
                f"{letter.id}  {letter.queue}  {letter.handler}  {letter.event.type}"
                f" {letter.event_id}  {letter.attempts} attempts  {reason[0][:120]}"
            )
        if not letters:
            self.stdout.write("No dead letters.")


def describe(letter: Any) -> dict[str, Any]:
    """This answers a dead letter in JSON terms."""
    return {
        "id": letter.id,
        "queue": letter.queue,
        "handler": letter.handler,
        "event": str(letter.event_id),
        "type": letter.event.type,
        "attempts": letter.attempts,
        "died_at": letter.finished_at.isoformat() if letter.finished_at else None,
        "error": letter.error,
    }
