"""Subscriptions: since when each handler gets events, so that a rolling deploy loses none.

A relay of the old release expands events without the handlers that only the new release has. Using
the time since which a handler is subscribed, `catch_up` creates the deliveries left out.
"""

from __future__ import annotations

from typing import Any

from eventbook.database.ids import first_id_in_sql
from eventbook.database.statements import execute
from eventbook.declare.handlers import Handler, all_handlers
from eventbook.declare.queues import policy_of

# How long processes of the previous release may run beside those of this one.
DEPLOY_SECONDS = 900

# On an empty table, handlers are subscribed since 1970: no relay has run before.
SUBSCRIBE = """
    INSERT INTO eventbook_subscription (handler, event_type, since)
    SELECT handler, event_type, CASE
        WHEN NOT EXISTS (SELECT FROM eventbook_subscription) THEN 'epoch'
        ELSE coalesce(
            (SELECT min(since) FROM eventbook_subscription WHERE handler = ANY(
                string_to_array(former_names, ','))),
            now())
        END
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS known (handler, event_type, former_names)
    ON CONFLICT (handler) DO NOTHING
    RETURNING handler
"""


def subscribe() -> list[str]:
    """Store the handlers of this release, and return the names of new ones.

    A renamed handler is subscribed since the first of its former names was.
    """
    known = all_handlers()
    columns = [
        [handler.name for handler in known],
        [handler.event_name for handler in known],
        [",".join(handler.formerly) for handler in known],
    ]
    return sorted(name for (name,) in execute(SUBSCRIBE, columns, prepare=False).rows)


# Ids carry times of the web machines' clocks; 10 minutes cover the clocks' errors.
MISSED = f"""
    INSERT INTO eventbook_delivery (event_id, handler, queue, state, priority, due_at, recorded_at)
    SELECT event.id, %(handler)s, %(queue)s, 'queued', event.priority, now(), event.recorded_at
    FROM eventbook_subscription AS subscription
    JOIN eventbook_event AS event
      ON event.type = subscription.event_type AND event.recorded_at >= subscription.since
     AND event.id >= {first_id_in_sql("subscription.since - interval '10 minutes'")}
    WHERE subscription.handler = %(handler)s
      AND subscription.since > now() - %(deploy)s * interval '1 second'
      AND NOT EXISTS (SELECT FROM eventbook_outboxentry WHERE event_id = event.id)
      AND NOT EXISTS (SELECT FROM eventbook_delivery
                      WHERE event_id = event.id AND handler = ANY(%(names)s))
    ORDER BY event.id
    ON CONFLICT (event_id, handler, part) DO NOTHING
"""  # noqa: S608 - put together from constants


NEW = "SELECT handler FROM eventbook_subscription WHERE since > now() - %s * interval '1 second'"


def catch_up() -> int:
    """Create the deliveries that relays of the previous release left out; return how many."""
    new = {name for (name,) in execute(NEW, [DEPLOY_SECONDS]).rows}
    return sum(_catch_up(handler) for handler in all_handlers() if handler.name in new)


def _catch_up(handler: Handler) -> int:
    """Create the deliveries that a new handler missed; return how many."""
    parameters: dict[str, Any] = {
        "handler": handler.name,
        "names": handler.names,
        "queue": policy_of(handler.queue).name,
        "deploy": DEPLOY_SECONDS,
    }
    return execute(MISSED, parameters, prepare=False).count
