"""A child process of an inline relay: runs the batches that it receives through a pipe."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from celery import current_app
from celery.exceptions import Retry, SoftTimeLimitExceeded
from django.db import close_old_connections

from eventbook.declare.handlers import handlers
from eventbook.declare.queues import all_policies
from eventbook.deliveries.outcomes import DeliveriesFailed
from eventbook.work import execution

logger = logging.getLogger(__name__)


class Batch(NamedTuple):
    """A handler, the ids of deliveries, and whether they may have killed a process before."""

    handler: str
    ids: list[int]
    suspect: bool


def serve(relay: Connection, queue: str) -> None:
    """Run batches of a queue until the relay closes the pipe; send None when ready for one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the relay, which stops its children
    signal.signal(signal.SIGALRM, exceed_time_limit)
    threading.Thread(target=end_with_the_relay, daemon=True, name="parent").start()
    policy = all_policies()[queue]
    with suppress(PermissionError):  # a sandbox may forbid it
        os.nice(policy.niceness)
    execution.warm_up({queue})
    with suppress(EOFError, BrokenPipeError):
        while True:
            relay.send(None)
            run(relay.recv())


def run(batch: Batch) -> None:
    """Call the batch's Celery task in this process; interrupt it after its time limit.

    The task records its deliveries' failures itself (eventbook/work/execution.py), those by a time
    limit too. Any other exception ends this process, and the relay starts another.
    """
    close_old_connections()
    try:
        limit = handlers[batch.handler].policy.time_limit_seconds
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            current_app.tasks[batch.handler](batch.ids, suspect=batch.suspect)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except (DeliveriesFailed, Retry):
        pass  # how a task shows failures in Celery (eventbook/deliveries/outcomes.py)
    except SoftTimeLimitExceeded:  # outside of the handler
        logger.warning("batch.interrupted", extra={"handler": batch.handler})


def exceed_time_limit(*_: Any) -> None:
    """Raise what Celery raises in a task that exceeds its time limit."""
    raise SoftTimeLimitExceeded


def end_with_the_relay() -> None:
    """End this process when the relay has ended, for example by SIGKILL."""
    relay: Any = parent_process()
    wait([relay.sentinel])
    os._exit(1)
