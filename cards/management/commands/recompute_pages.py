from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand

from cards.services import recompute_pages


class Command(BaseCommand):
    help = "Move cards to the pages that the present URL rules give them. Safe to run at any time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--after",
            type=UUID,
            metavar="ID",
            help="continue after this card, the last one of an earlier run",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Move cards in batches; after each, print the counts and how to continue from there."""
        after: UUID | None = options["after"]
        checked = moved = conflicts = 0
        while (batch := recompute_pages(after=after)).checked:
            after = batch.last
            checked += batch.checked
            moved += batch.moved
            conflicts += batch.conflicts
            self.stdout.write(
                f"{checked} cards checked, {moved} moved, {conflicts} not moved: the curator has "
                f"another card of the same page. To continue from here: --after {after}"
            )
        self.stdout.write(f"Done: {checked} cards checked, {moved} moved, {conflicts} not moved.")
