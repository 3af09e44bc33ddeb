"""`manage.py relay`: turn recorded events into deliveries and publish them."""

from __future__ import annotations

import logging
import signal
from typing import Any

from celery import current_app
from django.core.management.base import BaseCommand, CommandParser

from eventbook.brokers.lanes import Kind, kind_of
from eventbook.inline.pool import Inline, InlinePulse
from eventbook.observe.presence import register_process
from eventbook.relay.relay import Relay

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Turn recorded events into deliveries and publish them, until a signal ends it."
    requires_system_checks = []  # `migrate` has run them for this release.

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--inline",
            action="store_true",
            help="run the handlers in child processes of the relay, without broker and workers; on"
            " by itself if BROKER_URL is none",
        )

    def handle(self, *args: Any, inline: bool, **options: Any) -> None:
        inline = inline or kind_of(current_app.conf.broker_url) == Kind.NONE
        relay = Relay(broker=Inline(), pulse=InlinePulse()) if inline else Relay()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: relay.stop())
        # SIGQUIT asks a worker for a soft shutdown (REMAP_SIGTERM). The relay accepts it too.
        signal.signal(signal.SIGQUIT, lambda *_: relay.stop())
        presence = register_process("relay", relay.pulse)
        logger.info("relay.started")
        relay.run()
        presence.stop()
        logger.info("relay.stopped")
