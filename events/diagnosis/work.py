"""The work: what waits, what failed, what is forgotten."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from events import queries
from events.audit import rules
from events.diagnosis.finding import Finding, duration
from events.queues import QueuePolicy, all_policies
from events.registry import handlers

RELAY_LAG_SECONDS = 10
AUDIT_SECONDS = 300
# A pause is meant; one that lasts for so long may have been forgotten.
PAUSE_SECONDS = 24 * 3600


def findings() -> Iterator[Finding]:
    """This finds what is wrong with the outbox, each queue, the handlers and the guarantee."""
    yield _outbox()
    yield from _queues()
    yield _handlers()
    yield from _audits()


def _outbox() -> Finding:
    lag, length = queries.relay_lag_seconds(), queries.outbox_length()
    if lag > RELAY_LAG_SECONDS:
        return Finding(
            "relay",
            False,
            f"{length} events wait in the outbox, the oldest for {duration(lag)}",
            "Start a relay (`manage.py relay`); if one runs, look at its log and at the broker.",
        )
    return Finding("relay", True, f"{length} events wait in the outbox")


def _queues() -> Iterator[Finding]:
    policies = all_policies()
    for status in queries.queue_status():
        found = _queue(status, policies.get(status.queue))
        yield Finding(f"queue {status.queue}", *found)


def _queue(status: queries.QueueStatus, policy: QueuePolicy | None) -> tuple[bool, str, str]:
    if policy is None:
        advice = "Its name left config/queues.py: put it back, or move what waits."
        return False, f"{status.depth} deliveries wait in no queue", advice
    if status.paused_at:
        return _paused(status, (timezone.now() - status.paused_at).total_seconds())
    if status.oldest_seconds > policy.slo_seconds and status.depth:
        waited = f"the oldest of {status.depth} has waited {duration(status.oldest_seconds)}"
        text = f"{waited}; promised are {policy.slo_seconds} s"
        return False, text, f"Scale it: `fly scale count {policy.process_group}=N`."
    if status.dead:
        advice = f"Look: `manage.py dead-letters list --queue {status.queue}`."
        return False, f"{status.dead} dead letters", advice
    return True, f"{status.depth} open, {status.done} done in 5 minutes", ""


def _paused(status: queries.QueueStatus, seconds: float) -> tuple[bool, str, str]:
    why = f" ({status.reason})" if status.reason else ""
    text = f"paused for {duration(seconds)} by {status.paused_by}{why}; {status.depth} wait"
    advice = f"When it may go on: `manage.py queues resume {status.queue}`."
    return seconds < PAUSE_SECONDS, text, advice


def _handlers() -> Finding:
    unknown = queries.handlers_unknown_here(list(handlers))
    if unknown:
        return Finding(
            "handlers",
            False,
            f"deliveries wait for handlers that this release does not have: {', '.join(unknown)}",
            "Deploy the release that has them, list their names in the `formerly` of others, or"
            " give them up: `manage.py dead-letters discard --removed HANDLER`.",
        )
    return Finding("handlers", True, f"{len(handlers)} registered")


def _audits() -> Iterator[Finding]:
    found = [(rules[name], count) for name, count in queries.audits() if count and name in rules]
    for rule, count in found:
        text = f"{count} violations of {rule.name}; examples are in the admin, under Audits"
        yield Finding("audit", False, text, rule.advice)
    age = queries.audit_age_seconds()
    if age is None or age > AUDIT_SECONDS:
        text = "has not looked yet" if age is None else f"looked {duration(age)} ago"
        # On a system that has just been set up, or without beat, there is nothing to tell.
        advice = "See that beat runs, and that the queue `events` moves."
        yield Finding("audit", age is None, text, "" if age is None else advice)
    elif not found:
        yield Finding("audit", True, f"{len(rules)} rules hold, checked {duration(age)} ago")
