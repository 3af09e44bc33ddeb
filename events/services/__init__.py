"""Operators' actions. Each is recorded as an Operation in the transaction that does the work."""

from events.services.cleaning import TooYoung, clean
from events.services.dead_letters import (
    DeadLetters,
    discard_dead_letters,
    discard_removed,
    replay_dead_letters,
)
from events.services.queues import (
    LIMITS,
    ensure_controls,
    pause,
    refuse_idle_limits,
    resume,
    tune,
)
from events.services.waiting import Purged, Waiting, purge, retry_now

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
