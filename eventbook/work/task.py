"""The Celery task of each handler, which runs the handler on a batch of deliveries."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.dispatch import receiver

from eventbook.declare.handlers import Handler, handler_registered, handlers
from eventbook.deliveries.outcomes import BrokenOff, DeliveriesFailed, fail_if_any_failed
from eventbook.work.execution import run_deliveries

logger = logging.getLogger(__name__)


@receiver(handler_registered)
def add_task(handler: Handler, **_: Any) -> None:
    """Make the Celery task that delivers to a handler, under the handler's name."""
    name, policy = handler.name, handler.policy

    @shared_task(
        name=name,
        ignore_result=not handler.keep_result,
        soft_time_limit=policy.time_limit_seconds,
        time_limit=policy.longest_run_seconds,
        # The failures are logged already: Celery must not log an error for the task, too.
        throws=(DeliveriesFailed,),
        # A string, so that only workers import the module.
        Request="eventbook.brokers.tally:Request",
    )
    def deliver(delivery_ids: list[int], suspect: bool = False) -> dict[str, int]:
        try:
            outcomes = run_deliveries(handlers[name], delivery_ids, suspect=suspect)
        except Exception as error:
            logger.exception("batch.broken_off", extra={"handler": name})
            raise BrokenOff(error) from None
        fail_if_any_failed(outcomes)
        return dict(outcomes)
