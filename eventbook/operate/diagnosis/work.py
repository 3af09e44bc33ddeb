"""Checks of the outbox, dead letters, failing handlers, late queues and the audit."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from eventbook.declare.handlers import handlers
from eventbook.declare.queues import all_policies
from eventbook.operate.audit import rules
from eventbook.operate.diagnosis.finding import Finding, duration
from eventbook.operate.queries.deliveries import (
    FailingHandler,
    dead_by_queue,
    failing_handlers,
    unknown_handlers,
)
from eventbook.operate.queries.processes import live_workers
from eventbook.operate.queries.queues import QueueStatus, queue_status
from eventbook.operate.queries.schedules import schedule_status
from eventbook.operate.queries.system import (
    audit_age_seconds,
    audits,
    outbox_length,
    relay_lag_seconds,
)

RELAY_LAG_SECONDS = 10
AUDIT_SECONDS = 300
# A longer pause is a fault: its operator may have forgotten it.
PAUSE_SECONDS = 24 * 3600
# Deliveries to one handler that wait for a retry: fewer are chance, this many have a cause.
MANY_RETRIES = 5


def findings(*, has_broker: bool) -> Iterator[Finding]:
    """Yield findings about the outbox, the handlers, each queue and the audit.

    Without `has_broker` (the broker does not respond), advice about a backlog is to repair the
    broker. Causes come before effects: dead letters and failing handlers before late queues.
    """
    yield _outbox(has_broker)
    yield _handlers()
    yield from _dead_letters()
    failing = failing_handlers()
    yield from map(_failing_handler, failing)
    failing_queues = {each.queue for each in failing if each.count >= MANY_RETRIES}
    for status in queue_status():
        yield _queue(status, has_broker, failing=status.queue in failing_queues)
    yield from _paused_schedules()
    yield from _audits()


def _outbox(has_broker: bool) -> Finding:
    """Return whether the relay keeps up with the outbox."""
    lag, length = relay_lag_seconds(), outbox_length()
    waiting = f"{length} events wait in the outbox"
    if lag > RELAY_LAG_SECONDS:
        start = "Start a relay (`manage.py relay`); if one runs, see its log."
        repair = "Repair the broker; then the relay goes on by itself."
        text = f"{waiting}, the oldest for {duration(lag)}"
        return Finding.bad("relay", text, start if has_broker else repair)
    return Finding.ok("relay", waiting)


def _dead_letters() -> Iterator[Finding]:
    """Yield a finding for each queue with dead letters."""
    for queue, handlers_of_queue in dead_by_queue().items():
        named = ", ".join(f"{count} of {name}" for name, count in handlers_of_queue.items())
        advice = (
            f"Find the cause: `manage.py dead-letters show --queue {queue} --limit 1`. Repair it,"
            f" then `manage.py dead-letters replay --queue {queue}`."
        )
        yield Finding.bad(f"dead letters of {queue}", named, advice)


def _failing_handler(failing: FailingHandler) -> Finding:
    """Return the finding of a handler with failed deliveries: bad from MANY_RETRIES on."""
    text = f"{failing.count} deliveries failed and wait for a retry"
    command = f"manage.py queues list {failing.queue} --state retrying --handler {failing.handler}"
    advice = f"Find the cause: `{command} --limit 5`."
    return Finding(f"handler {failing.handler}", failing.count < MANY_RETRIES, text, advice)


def _queue(status: QueueStatus, has_broker: bool, *, failing: bool) -> Finding:
    """Return the finding of a queue: bad if it is late, was removed, or is paused for too long."""
    subject, policy = f"queue {status.queue}", all_policies().get(status.queue)
    if policy is None:
        text = f"{status.depth} deliveries wait in a removed queue"
        advice = "The queue is not in config/queues.py: put it back, or move its deliveries."
        return Finding.bad(subject, text, advice)
    if status.paused_at:
        return _paused(subject, status, (timezone.now() - status.paused_at).total_seconds())
    if status.oldest_seconds > policy.slo_seconds:
        waited = f"a delivery that could run has waited {duration(status.oldest_seconds)}"
        text = f"{waited}; the SLO is {policy.slo_seconds} s. {status.depth} are open"
        advice = _advice_if_late(status, has_broker, failing=failing)
        scale = f"Scale it: `fly scale count {policy.process_group}=N`."
        return Finding.bad(subject, text, advice or scale)
    return Finding.ok(subject, f"{status.depth} open, {status.done} done in 5 minutes")


def _advice_if_late(status: QueueStatus, has_broker: bool, *, failing: bool) -> str:
    """Return advice for a late queue that more workers would not help; "" if they would."""
    if not has_broker:
        return "Repair the broker: without it, no message reaches a worker."
    if not status.workers:
        return "Start a worker: see `workers of` below."
    if troubled := [each for each in live_workers(status.queue) if each.trouble]:
        troubles = "; ".join(f"{each.name}: {each.trouble}" for each in troubled)
        return f"Repair or restart its worker. {troubles}."
    if not status.in_progress and not status.rate_per_second:
        return "Its workers run but do nothing: see `workers of` below, and their log."
    if failing:
        return "Its handlers fail (see above): repair them first."
    return ""


def _paused_schedules() -> Iterator[Finding]:
    """Yield a finding for each paused schedule: bad once it has been paused for too long."""
    for status in schedule_status():
        if status.paused_at:
            seconds = (timezone.now() - status.paused_at).total_seconds()
            why = f" ({status.reason})" if status.reason else ""
            text = f"paused for {duration(seconds)} by {status.paused_by}{why}"
            advice = f"To resume it: `manage.py schedules resume {status.schedule}`."
            yield Finding(f"schedule {status.schedule}", seconds < PAUSE_SECONDS, text, advice)


def _paused(subject: str, status: QueueStatus, seconds: float) -> Finding:
    """Return the finding of a queue that has been paused for `seconds`."""
    why = f" ({status.reason})" if status.reason else ""
    text = f"paused for {duration(seconds)} by {status.paused_by}{why}; {status.depth} wait"
    if status.restored:
        text += "; the pause came with the backup from which this database was restored"
    advice = f"To resume it: `manage.py queues resume {status.queue}`."
    return Finding(subject, seconds < PAUSE_SECONDS and not status.restored, text, advice)


def _handlers() -> Finding:
    """Return whether open deliveries wait for handlers that this release does not have."""
    unknown = unknown_handlers(list(handlers))
    if unknown:
        return Finding.bad(
            "handlers",
            f"deliveries wait for handlers that this release does not have: {', '.join(unknown)}",
            "Deploy a release that has them, list their names in the `formerly` of other handlers,"
            " or discard the deliveries: `manage.py dead-letters discard --removed HANDLER`.",
        )
    return Finding.ok("handlers", f"{len(handlers)} registered")


def _audits() -> Iterator[Finding]:
    """Yield a finding for each violated audit rule, or for an auditor that has stopped."""
    found = [(rules[name], count) for name, count in audits() if count and name in rules]
    for rule, count in found:
        text = f"{count} violations of {rule.name}; examples are in the admin, under Audits"
        yield Finding.bad("audit", text, rule.advice)
    age = audit_age_seconds()
    if age is None or age > AUDIT_SECONDS:
        text = "has not run yet" if age is None else f"last ran {duration(age)} ago"
        # Well on a system that was just set up; without beat, "beat processes" is the finding.
        advice = "Check that beat runs, and that the queue `events` makes progress."
        yield Finding("audit", age is None, text, "" if age is None else advice)
    elif not found:
        yield Finding.ok("audit", f"{len(rules)} rules hold, checked {duration(age)} ago")
