"""The scheduler of `celery beat`: it records slots in PostgreSQL, and keeps nothing of its own."""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler
from celery.signals import beat_init
from django.db import InterfaceError, OperationalError, connection

from events.failures import reason
from events.processes.presence import Presence, appear
from events.processes.vitals import Pulse
from events.schedule import record_due_slots

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 1.0  # between attempts while PostgreSQL is down


class SlotScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """A scheduler that needs neither the broker nor a file; any number may run at once."""

    def setup_schedule(self) -> None:
        """Set nothing up: the schedules are where their functions are."""
        self.schedule: dict[str, Any] = {}
        self.pulse = Pulse()
        self.presence: Presence | None = None

    def appear(self) -> None:
        """Make the process known that begins to tick."""
        self.presence = appear("beat", self.pulse)

    def tick(self, *_: Any, **__: Any) -> float:
        """Record what is due, and return the seconds until there is more."""
        try:
            seconds = record_due_slots().total_seconds()
            self.pulse.progress(silent_for=seconds)
            return seconds
        except (OperationalError, InterfaceError) as error:
            logger.warning("beat.database_down", extra={"error": reason(error)})
            connection.close()
            self.pulse.wait_for("the database")
            return OUTAGE_SECONDS

    def close(self) -> None:
        """End; Celery calls it more than once."""
        if self.presence is not None:
            self.presence.stop()
        super().close()


def appear_at_the_start(sender: Any, **_: Any) -> None:
    """Return where Celery says that a scheduler is not only made, but runs."""
    if isinstance(sender.scheduler, SlotScheduler):
        sender.scheduler.appear()


beat_init.connect(appear_at_the_start, weak=False)
