"""The auditor: check every minute that the live database keeps the rules of delivery.

A rule is one SQL statement that reads a bounded part of the tables and returns its violations. Each
violation is a defect: of this code, or of a manual change to the rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from eventbook.database.ids import first_id_in_sql
from eventbook.database.statements import execute
from eventbook.declare.handlers import all_handlers, handlers
from eventbook.declare.queues import all_policies
from eventbook.models import Audit, Priority

logger = logging.getLogger(__name__)

EXAMPLES = 5  # violations of a rule that are stored and logged
LIMIT = 1_000  # violations of a rule that are counted

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """A statement that returns one text for each violation, and advice for operators."""

    name: str
    statement: str
    advice: str
    parameters: Callable[[], Parameters]


rules: dict[str, Rule] = {}


def audit_rule(
    name: str, *, statement: str, advice: str, parameters: Callable[[], Parameters] = dict
) -> None:
    """Register a rule; other apps register theirs in <app>/audits.py.

    The statement must return one text for each violation, and end soon however large the tables
    are. `parameters` is called before each check. Raise ValueError for a name in use.
    """
    if name in rules:
        raise ValueError(f"The rule name {name!r} is taken: choose another.")
    rules[name] = Rule(name, statement, advice, parameters)


def audit() -> dict[str, int]:
    """Check every rule, store and log its violations, and return their number by rule."""
    found = {name: _violations(rule) for name, rule in rules.items()}
    with transaction.atomic():
        Audit.objects.exclude(rule__in=rules).delete()
        for name, violations in found.items():
            Audit.objects.update_or_create(
                rule=name,
                defaults={
                    "violations": len(violations),
                    "examples": violations[:EXAMPLES],
                    "checked_at": Now(),
                },
            )
            if violations:
                extra = {"rule": name, "count": len(violations), "examples": violations[:EXAMPLES]}
                logger.error("audit.violation", extra=extra)
    return {name: len(violations) for name, violations in found.items()}


def _violations(rule: Rule) -> list[str]:
    """Return up to LIMIT violations of a rule."""
    statement = f"SELECT * FROM ({rule.statement}) AS violation LIMIT {LIMIT}"  # noqa: S608
    found = execute(statement, rule.parameters(), prepare=False).rows
    return [str(text) for (text,) in found]


# -- The rules of the event system ---------------------------------------------------------------

# Events that are one to ten minutes old must have a delivery to every subscribed handler. An event
# whose transaction lasts for more than a minute is checked after its commit.
audit_rule(
    "every_event_has_its_deliveries",
    statement=f"""
        SELECT event.type || ' ' || event.id || ' has no delivery to ' || known.handler
        FROM unnest(%(handlers)s::text[], %(types)s::text[], %(names)s::text[])
             AS known (handler, type, names)
        JOIN eventbook_subscription subscription ON subscription.handler = known.handler
        JOIN eventbook_event event
          ON event.type = known.type
         AND event.id > {first_id_in_sql("now() - interval '20 minutes'")}
         AND event.recorded_at >= greatest(subscription.since, now() - interval '10 minutes')
         AND event.recorded_at < now() - interval '1 minute'
        WHERE NOT EXISTS (SELECT FROM eventbook_outboxentry WHERE event_id = event.id)
          AND NOT EXISTS (SELECT FROM eventbook_delivery WHERE event_id = event.id
                          AND handler = ANY(string_to_array(known.names, ',')))
    """,  # noqa: S608 - put together from constants
    advice="Deliver the events: `manage.py replay --handler NAME --event ID`.",
    parameters=lambda: {
        "handlers": [known.name for known in all_handlers()],
        "types": [known.event_name for known in all_handlers()],
        "names": [",".join(known.names) for known in all_handlers()],
    },
)
audit_rule(
    "every_delivery_has_its_event",
    statement="""
        SELECT handler || ' of ' || event_id || ' has no event'
        FROM unnest(%(queues)s::text[]) AS known (name)
        CROSS JOIN unnest(%(lanes)s::int[]) AS lane (priority)
        CROSS JOIN LATERAL (
            SELECT handler, event_id FROM eventbook_delivery
            WHERE queue = known.name AND eventbook_delivery.priority = lane.priority
              AND due_at < now() - interval '1 minute'
            ORDER BY due_at LIMIT 10000
        ) AS overdue
        WHERE NOT EXISTS (SELECT FROM eventbook_event WHERE id = event_id)
    """,
    advice="The delivery is impossible without its event; find out who deleted the event.",
    parameters=lambda: {"queues": list(all_policies()), "lanes": Priority.values},
)
audit_rule(
    "no_entry_waits_for_ever",
    statement="""
        SELECT type || ' ' || event_id || ' has waited since ' || recorded_at
        FROM eventbook_outboxentry
        WHERE (priority > 0 OR due_at < now()) AND recorded_at < now() - interval '5 minutes'
    """,
    advice="Check that a relay runs, and read its log: `manage.py doctor`.",
)
# A delivery long due that no relay has ever published: no relay knows its queue or handler.
# Deliveries of a paused queue may wait, and so may those of a queue that was resumed recently.
audit_rule(
    "no_delivery_is_forgotten",
    statement="""
        SELECT handler || ' ' || delivery.id || ' was due at ' || due_at
        FROM unnest(%(queues)s::text[]) AS known (name)
        LEFT JOIN eventbook_queuecontrol AS control ON control.queue = known.name
        CROSS JOIN unnest(%(lanes)s::int[]) AS lane (priority)
        CROSS JOIN LATERAL (
            SELECT * FROM eventbook_delivery
            WHERE eventbook_delivery.queue = known.name
              AND eventbook_delivery.priority = lane.priority
              AND due_at < now() - %(patience)s * interval '1 second'
              AND publications = 0 AND handler = ANY(%(known)s)
            LIMIT 1000
        ) AS delivery
        WHERE control.paused_at IS NULL
          AND coalesce(control.resumed_at, 'epoch') < now() - %(patience)s * interval '1 second'
          AND NOT EXISTS (SELECT FROM eventbook_lease WHERE delivery.id = ANY(deliveries))
    """,
    advice="Check that a relay and the queue's workers run: `manage.py doctor`.",
    parameters=lambda: {
        "queues": list(all_policies()),
        "lanes": Priority.values,
        "patience": 3_600,
        "known": list(handlers),
    },
)
audit_rule(
    "no_delivery_is_for_nobody",
    statement="""
        SELECT DISTINCT 'open deliveries wait for ' || handler || ', which no release here has'
        FROM unnest(%(queues)s::text[]) AS known (name)
        CROSS JOIN unnest(%(lanes)s::int[]) AS lane (priority)
        CROSS JOIN LATERAL (
            SELECT handler FROM eventbook_delivery
            WHERE queue = known.name AND eventbook_delivery.priority = lane.priority
              AND due_at < now() - interval '10 minutes'
            ORDER BY due_at LIMIT 10000
        ) AS overdue
        WHERE handler <> ALL(%(known)s)
    """,
    advice="Deploy a release that has the handler, list its name in another handler's `formerly`,"
    " or discard the deliveries: `manage.py dead-letters discard --removed HANDLER`.",
    parameters=lambda: {
        "queues": list(all_policies()),
        "lanes": Priority.values,
        "known": list(handlers),
    },
)
audit_rule(
    "no_lease_outlives_its_end",
    statement="""
        SELECT handler || ' on ' || worker || ' since ' || started_at FROM eventbook_lease
        WHERE expires_at < now() - %(longest)s * interval '1 second'
    """,
    advice="Check that a relay runs. If one does, a transaction that PostgreSQL could not end still"
    " locks the deliveries.",
    # A worker that lives keeps its lease until its time limit (eventbook/relay/rescue.py).
    parameters=lambda: {
        "longest": 300 + max(each.policy.time_limit_seconds for each in all_handlers())
    },
)
# The parts of an event that was split in the last hour cover all keys, without gap or overlap.
audit_rule(
    "the_parts_make_the_whole",
    statement="""
        SELECT handler || ' of ' || event_id || ': its parts leave a gap, or overlap' FROM (
            SELECT event_id, handler, part, bounds,
                   lag(bounds ->> 1) OVER parts AS before, lead(bounds) OVER parts AS next
            FROM eventbook_delivery
            WHERE part > 0 AND recorded_at > now() - interval '1 hour'
            WINDOW parts AS (PARTITION BY event_id, handler ORDER BY part)
        ) AS split
        WHERE (part = 1 AND bounds ->> 0 <> '-9223372036854775808')
           OR (part > 1 AND before IS DISTINCT FROM bounds ->> 0)
           OR (next IS NULL AND bounds ->> 1 <> '9223372036854775807')
    """,
    advice="Replay the event to the handler: `manage.py replay --handler NAME --event ID`.",
)
