"""What other systems see of probes, and what they may tell us: a key, and a behaviour or number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from eventbook.declare.bridges import Received, integration_event, receives, translates
from eventbook.declare.events import Recorded
from tests.probe.signals import ProbeSent, ProbeTried, probe_sent, probe_tried


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


@translates(probe_tried, makes=[ProbeSeen])
def see_tried(events: Sequence[Recorded[ProbeTried]]) -> dict[UUID, ProbeSeen]:
    """Show events of a second type about the same subjects."""
    return {
        recorded.id: ProbeSeen(key=recorded.event.key, text=recorded.event.behaviour)
        for recorded in events
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ThingHappened:
    key: str
    text: str


@receives("another.thing.happened", version=1, data=ThingHappened)
def happened(event: Received[ThingHappened]) -> None:
    """Send a probe; fail after that for what is unacceptable."""
    probe = ProbeSent(key=event.data.key, behaviour=event.data.text)
    probe_sent.send(sender=None, event=probe)
    if event.data.text == "unacceptable":
        raise ValueError("private words")
