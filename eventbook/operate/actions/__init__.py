"""Operators' actions. Each is recorded as an Operation in the transaction that does the work."""

from eventbook.operate.actions.bridges import discard_parked, forget_bridge, replay_parked
from eventbook.operate.actions.cleaning import TooYoung, clean
from eventbook.operate.actions.dead_letters import (
    discard_dead_letters,
    discard_removed,
    replay_dead_letters,
)
from eventbook.operate.actions.delayed import cancel_delayed, reschedule_delayed
from eventbook.operate.actions.queues import (
    LIMITS,
    ensure_controls,
    pause,
    refuse_ineffective_limits,
    resume,
    tune,
)
from eventbook.operate.actions.schedules import (
    UnknownSchedule,
    pause_schedule,
    resume_schedule,
    run_schedule_now,
)
from eventbook.operate.actions.waiting import Purged, purge, retry_now
from eventbook.operate.selections import DeadLetters, Waiting

__all__ = [
    "LIMITS",
    "DeadLetters",
    "Purged",
    "TooYoung",
    "UnknownSchedule",
    "Waiting",
    "cancel_delayed",
    "clean",
    "discard_dead_letters",
    "discard_parked",
    "discard_removed",
    "ensure_controls",
    "forget_bridge",
    "pause",
    "pause_schedule",
    "purge",
    "refuse_ineffective_limits",
    "replay_dead_letters",
    "replay_parked",
    "reschedule_delayed",
    "resume",
    "resume_schedule",
    "retry_now",
    "run_schedule_now",
    "tune",
]
