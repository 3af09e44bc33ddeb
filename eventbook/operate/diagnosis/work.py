"""Checks of the work: the outbox, dead letters, failing handlers, late queues and the audit."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils import timezone

from eventbook.declare.handlers import handlers
from eventbook.declare.queues import QueuePolicy, all_policies
from eventbook.operate import queries
from eventbook.operate.audit import rules
from eventbook.operate.diagnosis.finding import Finding, duration

RELAY_LAG_SECONDS = 10
AUDIT_SECONDS = 300
# A longer pause is a fault: its operator may have forgotten it.
PAUSE_SECONDS = 24 * 3600
# Deliveries to one handler that wait for a retry: fewer are chance, this many have a cause.
MANY_RETRIES = 5


def findings(*, broker_well: bool) -> Iterator[Finding]:
    """Yield findings about the outbox, the handlers, each queue and the audit.

    A cause comes before its effect: dead letters and failing handlers before late queues.
    """
    yield _outbox(broker_well)
    yield _handlers()
    yield from _dead_letters()
    failing = queries.failing_handlers()
    yield from map(_fails, failing)
    failing_queues = {each.queue for each in failing if each.count >= MANY_RETRIES}
    policies = all_policies()
    for status in queries.queue_status():
        trouble = _trouble(status, broker_well, failing=status.queue in failing_queues)
        found = _queue(status, policies.get(status.queue), trouble)
        yield Finding(f"queue {status.queue}", *found)
    yield from _audits()


def _outbox(broker_well: bool) -> Finding:
    """Return whether the relay keeps up with the outbox."""
    lag, length = queries.relay_lag_seconds(), queries.outbox_length()
    waiting = f"{length} events wait in the outbox"
    if lag > RELAY_LAG_SECONDS:
        start = "Start a relay (`manage.py relay`); if one runs, see its log."
        mend = "Mend the broker; then the relay goes on by itself."
        text = f"{waiting}, the oldest for {duration(lag)}"
        return Finding("relay", False, text, start if broker_well else mend)
    return Finding("relay", True, waiting)


def _dead_letters() -> Iterator[Finding]:
    """Yield a finding for each queue with dead letters."""
    for queue, handlers_of_queue in queries.dead_by_queue().items():
        named = ", ".join(f"{count} of {name}" for name, count in handlers_of_queue.items())
        advice = (
            f"Find the cause: `manage.py dead-letters show --queue {queue} --limit 1`. Mend it,"
            f" then `manage.py dead-letters replay --queue {queue}`."
        )
        yield Finding(f"dead letters of {queue}", False, named, advice)


def _fails(failing: queries.FailingHandler) -> Finding:
    """Return the finding of a handler with failed deliveries: bad from MANY_RETRIES on."""
    text = f"{failing.count} deliveries failed and wait for a retry"
    command = f"manage.py queues list {failing.queue} --state retrying --handler {failing.handler}"
    advice = f"Find the cause: `{command} --limit 5`."
    return Finding(f"handler {failing.handler}", failing.count < MANY_RETRIES, text, advice)


def _trouble(status: queries.QueueStatus, broker_well: bool, *, failing: bool) -> str:
    """Return what to do for a late queue that more workers would not help; "" if they would."""
    if not broker_well:
        return "Mend the broker: without it, no message reaches a worker."
    if not status.workers:
        return "Start a worker: see `workers of` below."
    if troubled := [each for each in queries.live_workers(status.queue) if each.trouble]:
        told = "; ".join(f"{each.name}: {each.trouble}" for each in troubled)
        return f"Mend or restart its worker. {told}."
    if not status.in_progress and not status.rate_per_second:
        return "Its workers run but do nothing: see `workers of` below, and their log."
    if failing:
        return "Its handlers fail (see above): mend them first."
    return ""


def _queue(
    status: queries.QueueStatus, policy: QueuePolicy | None, trouble: str
) -> tuple[bool, str, str]:
    """Return (well, text, advice) of a queue; `trouble` replaces the advice to add workers."""
    if policy is None:
        advice = "The queue is not in config/queues.py: put it back, or move its deliveries."
        return False, f"{status.depth} deliveries wait in a removed queue", advice
    if status.paused_at:
        return _paused(status, (timezone.now() - status.paused_at).total_seconds())
    if status.oldest_seconds > policy.slo_seconds:
        waited = f"a delivery that could run has waited {duration(status.oldest_seconds)}"
        text = f"{waited}; the SLO is {policy.slo_seconds} s. {status.depth} are open"
        return False, text, trouble or f"Scale it: `fly scale count {policy.process_group}=N`."
    return True, f"{status.depth} open, {status.done} done in 5 minutes", ""


def _paused(status: queries.QueueStatus, seconds: float) -> tuple[bool, str, str]:
    """Return (well, text, advice) of a queue that has been paused for `seconds`."""
    why = f" ({status.reason})" if status.reason else ""
    text = f"paused for {duration(seconds)} by {status.paused_by}{why}; {status.depth} wait"
    if status.restored:
        text += "; the pause came with the backup from which this database was restored"
    advice = f"To let it go on: `manage.py queues resume {status.queue}`."
    return seconds < PAUSE_SECONDS and not status.restored, text, advice


def _handlers() -> Finding:
    """Return whether open deliveries wait for handlers that this release does not have."""
    unknown = queries.unknown_handlers(list(handlers))
    if unknown:
        return Finding(
            "handlers",
            False,
            f"deliveries wait for handlers that this release does not have: {', '.join(unknown)}",
            "Deploy a release that has them, list their names in the `formerly` of other handlers,"
            " or discard the deliveries: `manage.py dead-letters discard --removed HANDLER`.",
        )
    return Finding("handlers", True, f"{len(handlers)} registered")


def _audits() -> Iterator[Finding]:
    """Yield a finding for each violated audit rule, or for an auditor that has stopped."""
    found = [(rules[name], count) for name, count in queries.audits() if count and name in rules]
    for rule, count in found:
        text = f"{count} violations of {rule.name}; examples are in the admin, under Audits"
        yield Finding("audit", False, text, rule.advice)
    age = queries.audit_age_seconds()
    if age is None or age > AUDIT_SECONDS:
        text = "has not run yet" if age is None else f"last ran {duration(age)} ago"
        # Well on a system that was just set up; without beat, "beat processes" is the finding.
        advice = "Check that beat runs, and that the queue `events` makes progress."
        yield Finding("audit", age is None, text, "" if age is None else advice)
    elif not found:
        yield Finding("audit", True, f"{len(rules)} rules hold, checked {duration(age)} ago")
