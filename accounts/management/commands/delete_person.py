from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts import queries, services
from accounts.models import User


class Command(BaseCommand):
    help = "Delete a person and all that is theirs; for libraries too large for the admin."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the name, and leave to be asked nothing."""
        parser.add_argument("username")
        parser.add_argument("--yes", action="store_true", help="do it; without, only say what goes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what goes and what stays, and delete the person if told to."""
        try:
            person = User.objects.get_by_natural_key(options["username"])
        except User.DoesNotExist:
            raise CommandError(f"Nobody is called {options['username']}.") from None
        for name, count in queries.belongings(person).items():
            self.stdout.write(f"{count} {name}")
        self.stdout.write(services.STAYS)
        if not options["yes"]:
            self.stdout.write("Nothing was deleted; add --yes to delete the person and all that.")
            return
        try:
            services.delete_person(person=person)
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        self.stdout.write("Deleted.")
