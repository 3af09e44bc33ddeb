"""The scheduler of `celery beat`: it records slots in PostgreSQL, and keeps nothing of its own."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler
from django.db import InterfaceError, OperationalError, connection

from events.schedule import record_due_slots

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 1.0  # between attempts while PostgreSQL is down


class SlotScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """A scheduler that needs neither the broker nor a file; any number may run at once."""

    def setup_schedule(self) -> None:
        """This sets nothing up: the schedules are where their functions are."""
        self.schedule: dict[str, Any] = {}

    def tick(self, *_: Any, **__: Any) -> float:
        """This records what is due, and answers the seconds until there is more."""
        try:
            return record_due_slots().total_seconds()
        except (OperationalError, InterfaceError) as error:
            logger.warning("beat.database_down", extra={"error": str(error)})
            connection.close()
            return OUTAGE_SECONDS
