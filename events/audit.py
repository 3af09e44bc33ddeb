"""The auditor: it checks the rules of the guarantee on the live database, again and again.

A rule is one statement that looks at a bounded part of the tables, and answers examples of what
breaks it. Whatever it finds is a defect, of ours or of somebody who changed rows by hand.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from events.models import Audit
from events.queues import all_policies
from events.registry import handlers, subscriptions

logger = logging.getLogger(__name__)

EXAMPLES = 5
LIMIT = 1_000  # violations that are counted

Parameters = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """A statement that answers one text for each violation, and what an operator does then."""

    name: str
    statement: str
    advice: str
    parameters: Callable[[], Parameters]


rules: dict[str, Rule] = {}


def audit_rule(
    name: str, *, statement: str, advice: str, parameters: Callable[[], Parameters] = dict
) -> None:
    """Add a rule; applications have theirs in <app>/audits.py.

    The statement answers rows of one text, and must end soon however large the tables are.
    """
    if name in rules:
        raise ValueError(f"The rule name {name!r} is taken.")
    rules[name] = Rule(name, statement, advice, parameters)


def audit() -> dict[str, int]:
    """Check every rule, keep what it found, and return the violations by rule."""
    found = {name: _violations(rule) for name, rule in rules.items()}
    with transaction.atomic():
        Audit.objects.exclude(rule__in=rules).delete()
        for name, violations in found.items():
            Audit.objects.update_or_create(
                rule=name,
                defaults={
                    "violations": len(violations),
                    "examples": violations[:EXAMPLES],
                    "checked_at": _now(),
                },
            )
            if violations:
                extra = {"rule": name, "count": len(violations), "examples": violations[:EXAMPLES]}
                logger.error("audit.violation", extra=extra)
    return {name: len(violations) for name, violations in found.items()}


def _violations(rule: Rule) -> list[str]:
    with connection.cursor() as cursor:
        statement = f"SELECT * FROM ({rule.statement}) AS violation LIMIT {LIMIT}"  # noqa: S608
        cursor.execute(statement, rule.parameters())
        return [str(text) for (text,) in cursor.fetchall()]


def _now() -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        return cursor.fetchone()[0]


# -- The rules of the event system ---------------------------------------------------------------

# What is a minute to ten minutes old must have been expanded, and completely. An event's time is
# that of its transaction's statement: a minute later it is committed, or will be looked at again.
audit_rule(
    "every_event_has_its_deliveries",
    statement="""
        SELECT event.type || ' ' || event.id || ' has no delivery to ' || known.handler
        FROM unnest(%(handlers)s::text[], %(types)s::text[], %(names)s::text[])
             AS known (handler, type, names)
        JOIN events_subscription subscription ON subscription.handler = known.handler
        JOIN events_event event
          ON event.type = known.type
         AND event.id > (lpad(to_hex((extract(epoch FROM now() - interval '20 minutes')
                                      * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
         AND event.recorded_at >= greatest(subscription.since, now() - interval '10 minutes')
         AND event.recorded_at < now() - interval '1 minute'
        WHERE NOT EXISTS (SELECT FROM events_outboxentry WHERE event_id = event.id)
          AND NOT EXISTS (SELECT FROM events_delivery WHERE event_id = event.id
                          AND handler = ANY(string_to_array(known.names, ',')))
    """,
    advice="Deliver them: `manage.py replay --handler NAME --event ID`.",
    parameters=lambda: {
        "handlers": [known.name for known in subscriptions()],
        "types": [known.event_name for known in subscriptions()],
        "names": [",".join(known.names) for known in subscriptions()],
    },
)
audit_rule(
    "every_delivery_has_its_event",
    statement="""
        SELECT handler || ' of ' || event_id || ' has no event'
        FROM unnest(%(queues)s::text[]) AS known (name)
        CROSS JOIN unnest(ARRAY[1, 5]) AS lane (priority)
        CROSS JOIN LATERAL (
            SELECT handler, event_id FROM events_delivery
            WHERE queue = known.name AND events_delivery.priority = lane.priority
              AND due_at < now() - interval '1 minute'
            ORDER BY due_at LIMIT 10000
        ) AS overdue
        WHERE NOT EXISTS (SELECT FROM events_event WHERE id = event_id)
    """,
    advice="It can't be delivered any more; find out who deleted the event.",
    parameters=lambda: {"queues": list(all_policies())},
)
audit_rule(
    "no_entry_waits_for_ever",
    statement="""
        SELECT type || ' ' || event_id || ' waits since ' || recorded_at FROM events_outboxentry
        WHERE recorded_at < now() - interval '5 minutes'
    """,
    advice="See that a relay runs, and what it logs: `manage.py doctor`.",
)
# Nobody looked at them in spite of their time: the relay does not see their queue or handler. What
# a paused queue holds waits rightly, and for a while after it was resumed.
audit_rule(
    "no_delivery_is_forgotten",
    statement="""
        SELECT handler || ' ' || delivery.id || ' was due at ' || due_at
        FROM unnest(%(queues)s::text[]) AS known (name)
        LEFT JOIN events_queuecontrol AS control ON control.queue = known.name
        CROSS JOIN unnest(ARRAY[1, 5]) AS lane (priority)
        CROSS JOIN LATERAL (
            SELECT * FROM events_delivery
            WHERE events_delivery.queue = known.name
              AND events_delivery.priority = lane.priority
              AND due_at < now() - %(patience)s * interval '1 second'
              AND publications = 0 AND handler = ANY(%(known)s)
            LIMIT 1000
        ) AS delivery
        WHERE control.paused_at IS NULL
          AND coalesce(control.resumed_at, 'epoch') < now() - %(patience)s * interval '1 second'
          AND NOT EXISTS (SELECT FROM events_lease WHERE delivery.id = ANY(deliveries))
    """,
    advice="See that a relay and the queue's workers run: `manage.py doctor`.",
    parameters=lambda: {
        "queues": list(all_policies()),
        "patience": 3_600,
        "known": list(handlers),
    },
)
audit_rule(
    "no_delivery_is_for_nobody",
    statement="""
        SELECT DISTINCT 'open deliveries wait for ' || handler || ', which no release here has'
        FROM unnest(%(queues)s::text[]) AS known (name)
        CROSS JOIN unnest(ARRAY[1, 5]) AS lane (priority)
        CROSS JOIN LATERAL (
            SELECT handler FROM events_delivery
            WHERE queue = known.name AND events_delivery.priority = lane.priority
              AND due_at < now() - interval '10 minutes'
            ORDER BY due_at LIMIT 10000
        ) AS overdue
        WHERE handler <> ALL(%(known)s)
    """,
    advice="Deploy a release that has the handler, list its name in the `formerly` of another, or"
    " give it up: `manage.py dead-letters discard --removed HANDLER`.",
    parameters=lambda: {"queues": list(all_policies()), "known": list(handlers)},
)
audit_rule(
    "no_lease_outlives_its_end",
    statement="""
        SELECT handler || ' on ' || worker || ' since ' || started_at FROM events_lease
        WHERE expires_at < now() - %(longest)s * interval '1 second'
    """,
    advice="See that a relay runs; a transaction that PostgreSQL can't end holds its deliveries.",
    # A worker that lives has until its time limit (events/rescue.py).
    parameters=lambda: {
        "longest": 300 + max(each.time_limit_seconds for each in all_policies().values())
    },
)
# The parts of what was split in the last hour, while they are all there, leave no gap between.
audit_rule(
    "the_parts_make_the_whole",
    statement="""
        SELECT handler || ' of ' || event_id || ': its parts leave a gap, or overlap' FROM (
            SELECT event_id, handler, part, bounds,
                   lag(bounds ->> 1) OVER parts AS before, lead(bounds) OVER parts AS next
            FROM events_delivery
            WHERE part > 0 AND recorded_at > now() - interval '1 hour'
            WINDOW parts AS (PARTITION BY event_id, handler ORDER BY part)
        ) AS split
        WHERE (part = 1 AND bounds ->> 0 <> '-9223372036854775808')
           OR (part > 1 AND before IS DISTINCT FROM bounds ->> 0)
           OR (next IS NULL AND bounds ->> 1 <> '9223372036854775807')
    """,
    advice="Replay the event to the handler: `manage.py replay --handler NAME --event ID`.",
)
