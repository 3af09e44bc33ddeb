from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from cards.services import recompute_pages


class Command(BaseCommand):
    help = "Move cards to the pages that their addresses name by today's rules; safe at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--after", type=UUID, metavar="ID", help="go on behind this card, where a run ended"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        after: UUID | None = options["after"]
        looked = moved = apart = 0
        while (done := recompute_pages(after=after)).looked:
            after = done.last
            looked, moved, apart = looked + done.looked, moved + done.moved, apart + done.apart
            self.stdout.write(
                f"{looked} cards looked at, {moved} moved, {apart} left beside another card of the "
                f"same work; to go on from here: --after {after}"
            )
        self.stdout.write(f"Done: {looked} cards looked at, {moved} moved, {apart} left.")
