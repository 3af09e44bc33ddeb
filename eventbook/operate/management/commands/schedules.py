"""`manage.py schedules`: list, pause, resume and run schedules."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from eventbook.operate import actions
from eventbook.operate.management.options import positive
from eventbook.operate.queries.schedules import ScheduleStatus, schedule_status, upcoming
from eventbook.operate.texts import pause_of, report, table

ACTOR = "command line"
ACTIONS = {
    "list": "list every schedule, its next slot and its last run",
    "next": "list the next slots of a schedule",
    "pause": "skip a schedule's slots from now on",
    "resume": "end a schedule's pause, from the next slot on",
    "run": "run a schedule once now, also if it is paused",
}
COLUMNS = {
    "schedule": "schedule",
    "timing": "timing",
    "queue": "queue",
    "next_at": "next (UTC)",
    "last_at": "last run (UTC)",
    "state": "state",
}


class Command(BaseCommand):
    help = "List, pause, resume and run schedules."

    def add_arguments(self, parser: CommandParser) -> None:
        subparsers = parser.add_subparsers(dest="action", required=True)
        for name, text in ACTIONS.items():
            action = subparsers.add_parser(name, help=text)
            action.add_argument("--json", action="store_true", help="as JSON, for programs")
            if name != "list":
                action.add_argument("schedule", metavar="SCHEDULE")
            if name == "next":
                action.add_argument("--count", type=positive, default=5)
            if name == "pause":
                action.add_argument("--reason", default="", help="shown to other operators")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options.get("schedule", "")
        try:
            found, lines = self.act(name, options)
        except actions.UnknownSchedule as error:
            raise CommandError(str(error)) from error
        self.stdout.write(report(found, lines, as_json=options["json"]))

    def act(self, name: str, options: dict[str, Any]) -> tuple[Any, list[str]]:
        """Do the action, and return its result for JSON and as lines of text."""
        match options["action"]:
            case "list":
                statuses = schedule_status()
                return [dataclasses.asdict(each) for each in statuses], list_lines(statuses)
            case "next":
                slots = upcoming(name, options["count"])
                return slots, [f"{slot:%F %T} UTC" for slot in slots]
            case "pause":
                changed = actions.pause_schedule(name, actor=ACTOR, reason=options["reason"])
                return {"changed": changed}, [f"{name} is paused"]
            case "resume":
                changed = actions.resume_schedule(name, actor=ACTOR)
                return {"changed": changed}, [
                    f"{name} {'resumed' if changed else 'was not paused'}"
                ]
        actions.run_schedule_now(name, actor=ACTOR)
        return {"schedule": name}, [f"{name} runs once now"]


def list_lines(statuses: list[ScheduleStatus]) -> list[str]:
    """Return a table of the schedules, and a line for each pause."""
    rows = [dataclasses.asdict(each) for each in statuses]
    for row in rows:
        for name in ("next_at", "last_at"):
            row[name] = f"{row[name]:%F %T}" if row[name] else "–"
        row["next_at"] = "paused" if row["paused_at"] else row["next_at"]
    pauses = [f"{each.schedule} is paused {pause_of(each)}" for each in statuses if each.paused_at]
    return [*table(COLUMNS, rows), *pauses]
