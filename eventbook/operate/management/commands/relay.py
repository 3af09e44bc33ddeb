"""`manage.py relay`: turn recorded events into deliveries and publish them."""

from __future__ import annotations

import logging
import signal
from typing import Any

from django.core.management.base import BaseCommand

from eventbook.observe.presence import register_process
from eventbook.relay.relay import Relay

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Turn recorded events into deliveries and publish them, until a signal ends it."
    requires_system_checks = []  # `migrate` has run them for this release.

    def handle(self, *args: Any, **options: Any) -> None:
        relay = Relay()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: relay.stop())
        # SIGQUIT asks a worker for a soft shutdown (REMAP_SIGTERM). The relay accepts it too.
        signal.signal(signal.SIGQUIT, lambda *_: relay.stop())
        presence = register_process("relay", relay.pulse)
        logger.info("relay.started")
        relay.run()
        presence.stop()
        logger.info("relay.stopped")
