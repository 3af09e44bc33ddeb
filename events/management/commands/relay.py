from __future__ import annotations

import logging
import signal
from typing import Any

from django.core.management.base import BaseCommand

from events.processes.presence import appear
from events.relay import Relay

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Turn recorded events into deliveries and publish them, until told to stop."
    requires_system_checks = []  # A release is checked when it migrates.

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: relay.stop())
        # Soft shutdown is the workers' word (REMAP_SIGTERM); for the relay it means the same.
        signal.signal(signal.SIGQUIT, lambda *_: relay.stop())
        presence = appear("relay", relay.pulse)
        logger.info("relay.started")
        relay.run()
        presence.stop()
        logger.info("relay.stopped")
