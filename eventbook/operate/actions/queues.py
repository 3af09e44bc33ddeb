"""The operators' actions on queues: pause, resume, and change limits and concurrency."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now

from eventbook.database.statements import execute
from eventbook.declare.handlers import all_handlers
from eventbook.declare.queues import all_policies, policy_of
from eventbook.deliveries import controls
from eventbook.deliveries.states import RATE_LIMITED
from eventbook.models import Delivery, QueueControl
from eventbook.operate.actions.operations import batches_of, record_operation
from eventbook.operate.queries.pauses import this_database

logger = logging.getLogger(__name__)

LIMITS = ("rate_limit", "rate_seconds", "group_limit", "group_seconds")
TUNABLE = ("reason", "concurrency", *LIMITS)


def ensure_controls() -> None:
    """Create the missing QueueControl rows: one for each queue of the queue table."""
    missing = set(all_policies()) - set(QueueControl.objects.values_list("queue", flat=True))
    QueueControl.objects.bulk_create(
        [QueueControl(queue=queue) for queue in sorted(missing)], ignore_conflicts=True
    )


@transaction.atomic
def pause(queue: str, *, actor: str, reason: str = "") -> bool:
    """Pause a queue; return whether it was running before.

    Within 2 seconds, no more of its deliveries start. Running ones finish, new ones wait in
    PostgreSQL. Raise UnknownQueue for a name without a queue.
    """
    control = _control(queue)
    changed = control.paused_at is None
    if changed:
        control.paused_at, control.paused_by, control.reason = Now(), actor, reason
        control.paused_in = this_database()
    elif reason:
        control.reason = reason
    _save(control)
    record_operation("queue.pause", actor, int(changed), {"queue": queue, "reason": reason})
    _log_on_commit("queue.paused", queue, actor)
    return changed


@transaction.atomic
def resume(queue: str, *, actor: str) -> bool:
    """End a queue's pause, so that its waiting deliveries start; return whether it was paused.

    Raise UnknownQueue for a name without a queue.
    """
    control = _control(queue)
    changed = control.paused_at is not None
    if changed:
        control.resumed_at = Now()
    control.paused_at, control.paused_by, control.reason = None, "", ""
    control.paused_in = ""
    _save(control)
    record_operation("queue.resume", actor, int(changed), {"queue": queue})
    _log_on_commit("queue.resumed", queue, actor)
    return changed


@transaction.atomic
def tune(queue: str, *, actor: str, changes: Mapping[str, Any]) -> None:
    """Change a queue's limits, its concurrency or the reason for its pause, while it runs.

    `changes` maps names in TUNABLE to values; None restores the number in the queue table. Raises
    UnknownQueue, and ValidationError for an invalid number or a limit without effect.
    """
    control = _control(queue)
    for name in changes.keys() & set(TUNABLE):
        setattr(control, name, changes[name])
    control.full_clean()
    refuse_ineffective_limits(queue, changes)
    _save(control)
    record_operation("queue.tune", actor, 1, {"queue": queue, **changes})
    _log_on_commit("queue.tuned", queue, actor)
    if changes.keys() & set(LIMITS):
        transaction.on_commit(lambda: _reset_turns(queue))


def refuse_ineffective_limits(queue: str, changes: Mapping[str, Any]) -> None:
    """Raise ValidationError for a limit that applies to no handler of the queue.

    A rate limit applies to handlers that call outside services (`atomic=False`). A group limit
    applies to such handlers if they have a `group`.
    """
    calling = [each for each in all_handlers() if each.queue == queue and not each.atomic]
    if changes.get("rate_limit") and not calling:
        text = "has no effect: no handler of %(queue)s calls outside. To stop the queue, pause it."
        raise ValidationError({"rate_limit": ValidationError(text, params={"queue": queue})})
    if changes.get("group_limit") and not any(each.group for each in calling):
        text = "has no effect: no handler of %(queue)s names groups (hosts, accounts)."
        raise ValidationError({"group_limit": ValidationError(text, params={"queue": queue})})


def _control(queue: str) -> QueueControl:
    policy_of(queue)
    QueueControl.objects.bulk_create([QueueControl(queue=queue)], ignore_conflicts=True)
    return QueueControl.objects.select_for_update().get(pk=queue)


def _save(control: QueueControl) -> None:
    control.changed_at = Now()
    control.save()


def _log_on_commit(message: str, queue: str, actor: str) -> None:
    """On commit, drop this process's cached controls and write a line to the log."""

    def forget_and_log() -> None:
        controls.clear_cache()
        logger.warning(message, extra={"queue": queue})

    transaction.on_commit(forget_and_log)


# The names of a queue's groups and lines are those of eventbook/work/execution.py `rate_limits_of`.
CANCEL_TURNS = """
    UPDATE eventbook_rategroup SET reserved_until = clock_timestamp()
    WHERE (name = 'queue ' || %(queue)s OR starts_with(name, 'queue ' || %(queue)s || ' ')
           OR starts_with(name, %(queue)s || ' '))
      AND reserved_until > clock_timestamp()
"""


def _reset_turns(queue: str) -> None:
    """Cancel the reservations that were made under the old limits, and make their calls due now.

    Each delivery then reserves its turn again, under the new limits.
    """
    # Until workers' cached limits expire, they would still reserve by the old ones.
    time.sleep(controls.FRESH_SECONDS)
    execute(CANCEL_TURNS, {"queue": queue}, prepare=False)
    waiting = Delivery.objects.filter(queue=queue, state=Delivery.State.RETRY, error=RATE_LIMITED)
    for ids in batches_of(waiting.filter(due_at__gt=Now())):
        waiting.filter(pk__in=ids).update(due_at=Now())
