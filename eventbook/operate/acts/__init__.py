"""Operators' actions. Each is recorded as an Operation in the transaction that does the work."""

from eventbook.operate.acts.cleaning import TooYoung, clean
from eventbook.operate.acts.dead_letters import (
    DeadLetters,
    discard_dead_letters,
    discard_removed,
    replay_dead_letters,
)
from eventbook.operate.acts.queues import (
    LIMITS,
    ensure_controls,
    pause,
    refuse_idle_limits,
    resume,
    tune,
)
from eventbook.operate.acts.waiting import Purged, Waiting, purge, retry_now

__all__ = [
    "LIMITS",
    "DeadLetters",
    "Purged",
    "TooYoung",
    "Waiting",
    "clean",
    "discard_dead_letters",
    "discard_removed",
    "ensure_controls",
    "pause",
    "purge",
    "refuse_idle_limits",
    "replay_dead_letters",
    "resume",
    "retry_now",
    "tune",
]
