"""The scheduler of `celery beat`: record the due slots of all schedules in PostgreSQL.

A slot is the moment of one run of a schedule, for example each full minute (schedule.py).
"""

from __future__ import annotations

import logging
from typing import Any

from celery.beat import Scheduler
from celery.signals import beat_init
from django.db import InterfaceError, OperationalError, connection

from eventbook.beat.schedule import record_due_slots
from eventbook.observe.failures import connection_error
from eventbook.observe.presence import Presence, register_process
from eventbook.observe.vitals import DATABASE, Pulse

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 1.0  # between attempts while PostgreSQL is down


class SlotScheduler(Scheduler):  # type: ignore[misc]  # Celery has no types
    """A scheduler that needs neither the broker nor a schedule file; any number may run at once."""

    def setup_schedule(self) -> None:
        """Set the attributes that Celery and `tick` need; schedules are in schedule.py."""
        self.schedule: dict[str, Any] = {}
        self.pulse = Pulse()
        self.presence: Presence | None = None

    def register(self) -> None:
        """Register the process as running, so that operators and health checks see it."""
        self.presence = register_process("beat", self.pulse)

    def tick(self, *_: Any, **__: Any) -> float:
        """Record the due slots, and return the seconds until the next one.

        While PostgreSQL is down, return OUTAGE_SECONDS.
        """
        try:
            seconds = record_due_slots().total_seconds()
            self.pulse.progress(next_round_within=seconds)
            return seconds
        except (OperationalError, InterfaceError) as error:
            logger.warning("beat.database_down", extra={"error": connection_error(error)})
            connection.close()
            self.pulse.wait_for(DATABASE)
            return OUTAGE_SECONDS

    def close(self) -> None:
        """Unregister the process and close; Celery calls this more than once."""
        if self.presence is not None:
            self.presence.stop()
        super().close()


def register_at_start(sender: Any, **_: Any) -> None:
    """Register the process when beat starts: Celery also creates schedulers that never run."""
    if isinstance(sender.scheduler, SlotScheduler):
        sender.scheduler.register()


beat_init.connect(register_at_start, weak=False)
