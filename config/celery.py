"""The Celery application; its settings are the CELERY_… ones of config/settings.py."""

from __future__ import annotations

import atexit
import gc
import logging
import os
from typing import Any

from celery import Celery, signals
from django.conf import settings
from django.db import close_old_connections
from django.utils.log import configure_logging

from events import transport
from events.processes.worker import Watch

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A release is checked when it migrates (and by `make check`), and not again by each process that
# starts: that would load every page of the web server into each worker.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

transport.install()
app = Celery("commonplace")
app.config_from_object("config.celery_settings:SETTINGS")
app.autodiscover_tasks()
app.steps["worker"].add(Watch)

logger = logging.getLogger(__name__)


@signals.setup_logging.connect(weak=False)
def leave_logs_to_django(**_: Any) -> None:
    """Keep Celery from setting up logs of its own."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@signals.celeryd_init.connect(weak=False)
def tell_of_the_end(**_: Any) -> None:
    """Let a worker say when it has ended, however it does: Celery has no signal for that.

    What Celery itself says of it goes past the logs.
    """
    from celery.apps import worker

    worker.safe_say = lambda *_: None
    # Not in its children: they end without.
    atexit.register(logger.info, "worker.stopped")


@signals.task_prerun.connect(weak=False)
def begin_with_a_usable_connection(**_: Any) -> None:
    """Let every task begin as a request does: Celery may write to the database before it runs."""
    close_old_connections()


@signals.worker_before_create_process.connect(weak=False)
def keep_memory_shared(**_: Any) -> None:
    """Take what there is out of the sight of garbage collection, just before a fork.

    A collection in a child would write to every object, and so copy what it shares with the others.
    """
    gc.collect()
    gc.freeze()


@signals.worker_init.connect(weak=False)
def warm_children_up(**_: Any) -> None:
    """Let each child prepare for its first batch when it starts.

    Not before the worker does: Celery's part for Django closes connections at the same signal.
    """
    signals.worker_process_init.connect(warm_up, weak=False)


def warm_up(**_: Any) -> None:
    """Run in a child, before it takes messages."""
    from events import execution

    execution.warm_up(app.amqp.queues.consume_from)


@signals.worker_shutting_down.connect(weak=False)
def tell_of_stopping(**_: Any) -> None:
    """Tell that a worker was asked to stop."""
    logger.info("worker.stopping")
