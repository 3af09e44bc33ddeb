"""`manage.py exporter`: serve the metrics for Prometheus."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from eventbook.conf import conf
from eventbook.observe.presence import register_process
from eventbook.observe.vitals import Vitals
from eventbook.operate.metrics.exporter import serve

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Serve the metrics of all queues for Prometheus (EXPORTER_ADDRESS, EXPORTER_PORT)."
    requires_system_checks = []  # `migrate` has run them for this release.

    def handle(self, *args: Any, **options: Any) -> None:
        address, port = conf.EXPORTER_ADDRESS, conf.EXPORTER_PORT
        server = serve(address, port)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            # In another thread: `shutdown` waits for serve_forever, which this thread runs.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        presence = register_process("exporter", Vitals())
        logger.info("exporter.started", extra={"address": address, "port": port})
        server.serve_forever(poll_interval=0.2)
        server.server_close()
        presence.stop()
        logger.info("exporter.stopped")
