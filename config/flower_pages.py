"""What Flower shows of our work: the backlog in PostgreSQL, and no tasks that did nothing.

`config/flowerconfig.py` applies it before Flower starts.
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

# Outcomes of a delivery that a task only looked at (events/metrics/families.py).
PUT_OFF = {"limited", "deferred", "paused", "passed_over"}


def install() -> None:
    """Put these in place of Flower's own."""
    urls.handlers[:0] = [(r"/broker", Broker)]
    BaseHandler.get_active_queue_names = every_queue
    EventsState.event = without_idle_tasks(EventsState.event)


def every_queue(handler: Any) -> list[str]:
    """Return all queues: Flower leaves out those that are paused or have no workers."""
    return list(settings.QUEUES)


class Broker(broker.BrokerView):  # type: ignore[misc]
    """Flower's page of the broker, which also says what waits in PostgreSQL."""

    async def get(self) -> None:
        """Show the broker's queues, below a line on the deliveries that are not there yet."""
        self.backlog = await IOLoop.current().run_in_executor(None, backlog)
        await super().get()

    def render(self, template_name: str, **values: Any) -> Any:
        """Render the page with that line below the broker's address."""
        values["broker_url"] = f"{values['broker_url']} – {self.backlog}"
        return super().render(template_name, **values)


def backlog() -> str:
    """Return a sentence on what each queue has open in PostgreSQL."""
    from events import queries  # Django is not set up yet when Flower reads its options

    close_old_connections()
    try:
        found = queries.backlogs(list(settings.QUEUES))
        outbox = queries.outbox_length()
    except DatabaseError:
        return "PostgreSQL can't be asked what else waits."
    finally:
        close_old_connections()
    deliveries = ", ".join(f"{each.depth:,} of {each.queue}" for each in found if each.depth)
    return (
        "A message is a batch, and the broker holds a few of each queue; the rest waits in"
        f" PostgreSQL: {deliveries or 'no deliveries'} open, {outbox:,} events in the outbox."
        " `manage.py queues status` has the figures."
    )


def without_idle_tasks(event: Any) -> Any:
    """Return Flower's method that takes an event, changed to forget tasks that did nothing.

    Under a rate limit most tasks only put their deliveries off, and would fill the list.
    """

    def take(state: EventsState, event_: dict[str, Any]) -> None:
        event(state, event_)
        if event_["type"] == "task-succeeded" and did_nothing(event_.get("result") or ""):
            state.search_engine.remove(event_["uuid"])
            state.tasks.pop(event_["uuid"], None)

    return take


def did_nothing(result: str) -> bool:
    """Return whether a task's result, as Celery tells it, counts only deliveries put off."""
    try:
        outcomes = ast.literal_eval(result)
    except (ValueError, SyntaxError):
        return False
    return isinstance(outcomes, dict) and bool(outcomes) and outcomes.keys() <= PUT_OFF
