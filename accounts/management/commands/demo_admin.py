from __future__ import annotations

import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.models import User

USERNAME = "admin"


class Command(BaseCommand):
    help = "Make sure that the superuser `admin` exists, with the password in ADMIN_PASSWORD."

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the account if it is missing, and set its password if that differs."""
        password = os.environ.get("ADMIN_PASSWORD")
        if not password:
            raise CommandError("Set ADMIN_PASSWORD to the password for the account.")
        admin, _ = User.objects.get_or_create(
            username=USERNAME, defaults={"is_staff": True, "is_superuser": True}
        )
        # Setting the same password again would end the account's sessions.
        if not admin.check_password(password):
            admin.set_password(password)
            admin.save(update_fields=["password"])
