"""Changes to Flower's pages: show the backlog in PostgreSQL, and hide tasks without any effect.

`server/flower/flowerconfig.py` calls `install` before Flower starts.
"""

from __future__ import annotations

import ast
from typing import Any

from django.conf import settings
from django.db import DatabaseError, close_old_connections
from flower import urls
from flower.events import EventsState
from flower.views import BaseHandler, broker
from tornado.ioloop import IOLoop

# Outcomes of a delivery whose handler did not run (eventbook/observe/families.py).
NOT_RUN = {"limited", "deferred", "paused", "passed_over"}


def install() -> None:
    """Replace parts of Flower by the ones in this module."""
    urls.handlers[:0] = [(r"/broker", Broker)]
    BaseHandler.get_active_queue_names = every_queue
    EventsState.event = without_idle_tasks(EventsState.event)


def every_queue(handler: Any) -> list[str]:
    """Return all queues; Flower's own method omits paused ones and those without workers."""
    return list(settings.QUEUES)


class Broker(broker.BrokerView):  # type: ignore[misc]
    """Flower's page of the broker, plus the backlog in PostgreSQL."""

    async def get(self) -> None:
        """Show the broker's queues, and the backlog in PostgreSQL."""
        self.backlog = await IOLoop.current().run_in_executor(None, backlog)
        await super().get()

    def render(self, template_name: str, **values: Any) -> Any:
        """Render the page with the backlog after the broker's address."""
        values["broker_url"] = f"{values['broker_url']} – {self.backlog}"
        return super().render(template_name, **values)


def backlog() -> str:
    """Return sentences with the open deliveries of each queue and the length of the outbox."""
    from eventbook.operate import (  # Django is not set up yet when Flower reads its options
        backlogs,
        outbox_length,
    )

    close_old_connections()
    try:
        found = backlogs(list(settings.QUEUES))
        outbox = outbox_length()
    except DatabaseError:
        return "PostgreSQL can't be reached, so its backlog is unknown."
    finally:
        close_old_connections()
    deliveries = ", ".join(f"{each.depth:,} of {each.queue}" for each in found if each.depth)
    return (
        "A message is a batch, and the broker holds a few of each queue; the rest waits in"
        f" PostgreSQL: {deliveries or 'no deliveries'} open, {outbox:,} events in the outbox."
        " `manage.py queues status` shows the numbers."
    )


def without_idle_tasks(event: Any) -> Any:
    """Wrap Flower's method for Celery's events so that it forgets tasks that ran no handler.

    Under a rate limit, most tasks only put their deliveries off, and would fill the list.
    """

    def handle(state: EventsState, event_: dict[str, Any]) -> None:
        event(state, event_)
        if event_["type"] == "task-succeeded" and did_nothing(event_.get("result") or ""):
            state.search_engine.remove(event_["uuid"])
            state.tasks.pop(event_["uuid"], None)

    return handle


def did_nothing(result: str) -> bool:
    """Return whether a task ran no handler: its result, as text, counts only NOT_RUN outcomes."""
    try:
        outcomes = ast.literal_eval(result)
    except (ValueError, SyntaxError):
        return False
    return isinstance(outcomes, dict) and bool(outcomes) and outcomes.keys() <= NOT_RUN
