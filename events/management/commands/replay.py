from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from events import services


class Command(BaseCommand):
    help = "Deliver stored events to one handler again (handlers are idempotent)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--handler", required=True, help="its name, as `feeds.fan_out`")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--since", type=moment, help="an ISO 8601 date or time (UTC)")
        which.add_argument("--event", type=UUID, help="one event's id")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = services.replay(
                handler=options["handler"],
                since=options["since"],
                event=options["event"],
                actor="command line",
            )
        except services.UnknownHandler as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"replay: {count} deliveries to {options['handler']}")


def moment(text: str) -> datetime:
    """This reads a date or a time; without an offset it is UTC."""
    found = parse_datetime(text)
    if found is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(f"{text!r} is no ISO 8601 date or time.")
        found = datetime(day.year, day.month, day.day)  # noqa: DTZ001  made aware below
    return found if timezone.is_aware(found) else timezone.make_aware(found)
