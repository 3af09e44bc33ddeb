from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import queries, services
from accounts.models import User


class Command(BaseCommand):
    help = "Delete a person and everything they own; for libraries too large for the admin."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the username and `--yes`."""
        parser.add_argument("username")
        parser.add_argument("--yes", action="store_true", help="delete, and don't only show what")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what is deleted and what stays; with `--yes`, delete the person."""
        try:
            person = User.objects.get_by_natural_key(options["username"])
        except User.DoesNotExist:
            raise CommandError(f"Nobody is called {options['username']}.") from None
        for name, count in queries.owned_rows(person).items():
            self.stdout.write(f"{count} {name}")
        self.stdout.write(services.NOT_DELETED)
        if not options["yes"]:
            self.stdout.write("Nothing was deleted; add --yes to delete all of this.")
            return
        try:
            services.delete_person(person=person)
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        self.stdout.write("Deleted.")
