"""What other systems see of probes: their key and behaviour; a test may put a number there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from eventbook.declare.bridges import integration_event, translates
from eventbook.declare.events import Recorded
from tests.probe.signals import ProbeSent, probe_sent


@integration_event("commonplace.probe.seen", version=1)
@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSeen:
    key: str
    text: str

    @property
    def subject(self) -> str:
        return f"probes/{self.key}"


@translates(probe_sent, makes=[ProbeSeen])
def see(events: Sequence[Recorded[ProbeSent]]) -> dict[UUID, ProbeSeen]:
    """Show probes, but not private ones; fail for untranslatable ones."""
    if any(recorded.event.behaviour == "untranslatable" for recorded in events):
        raise ValueError("private words")
    return {
        recorded.id: ProbeSeen(key=recorded.event.key, text=recorded.event.behaviour)
        for recorded in events
        if recorded.event.behaviour != "private"
    }
