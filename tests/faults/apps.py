from __future__ import annotations

import os

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    name = "tests.faults"
    label = "faults"

    def ready(self) -> None:
        from tests.faults.mutations import apply

        apply(os.environ.get("MUTATION", ""))
