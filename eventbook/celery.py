"""Set up a Celery application: broker transport, workers' health checks, logs, new children."""

from __future__ import annotations

import atexit
import gc
import logging
from typing import Any

from celery import Celery, current_app, signals
from django.conf import settings
from django.db import close_old_connections
from django.utils.log import configure_logging

from eventbook.brokers import transport
from eventbook.brokers.lanes import UnknownBroker, broker_settings, queue_of
from eventbook.brokers.watch import Watch

__all__ = ["UnknownBroker", "broker_settings", "prepare"]

logger = logging.getLogger(__name__)


def prepare(app: Celery) -> None:
    """Install the transport (brokers/transport.py), and add health checks (watch.py) to workers.

    Call this once, where the application is created. The receivers below act in every process that
    imports this module.
    """
    transport.install()
    app.steps["worker"].add(Watch)
    # Celery's Django support, connected to this signal before, closes each new child's connections.
    # `warm_up` must come after it, or the connection that was warmed up would be closed.
    signals.worker_init.connect(connect_warm_up, weak=False)


@signals.setup_logging.connect(weak=False)
def leave_logs_to_django(**_: Any) -> None:
    """Configure logging as Django does; with this receiver, Celery doesn't set up its own."""
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@signals.celeryd_init.connect(weak=False)
def log_end(**_: Any) -> None:
    """Silence Celery's own stop messages; log `worker.stopped` when the main process exits.

    Celery has no signal for that exit.
    """
    from eventbook.brokers.worker import silence

    silence()
    # Child processes exit without running atexit functions.
    atexit.register(logger.info, "worker.stopped")


@signals.task_prerun.connect(weak=False)
def close_stale_connections(**_: Any) -> None:
    """Close a broken or outdated database connection before each task, as Django before a request.

    Celery may write to the database before the task's own code runs.
    """
    close_old_connections()


@signals.worker_before_create_process.connect(weak=False)
def keep_memory_shared(**_: Any) -> None:
    """Exclude all present objects from garbage collection, just before a fork.

    A collection in a child process would write to every object, and so copy the memory that the
    child shares with its parent.
    """
    gc.collect()
    gc.freeze()


def connect_warm_up(**_: Any) -> None:
    """Connect `warm_up` to the start of child processes, after Celery's Django support."""
    signals.worker_process_init.connect(warm_up, weak=False)


def warm_up(**_: Any) -> None:
    """Prepare a new child process for its first batch, before it receives messages."""
    # Not at the top: the settings import this module, and models load only after the settings.
    from eventbook.work import execution

    execution.warm_up({queue_of(name) for name in current_app.amqp.queues.consume_from})


@signals.worker_shutting_down.connect(weak=False)
def log_stopping(**_: Any) -> None:
    """Log that a worker has begun to stop."""
    logger.info("worker.stopping")
