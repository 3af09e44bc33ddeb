"""`flush` for tests, which Django calls after each test that commits: 100 ms become 5."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush

from tests.harness import tables


class Command(flush.Command):
    """Empty all tables, but those that migrations fill."""

    def handle(self, **options: Any) -> None:
        tables.empty()
