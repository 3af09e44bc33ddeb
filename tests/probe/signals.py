"""Domain signals whose handlers do as the event says, or have much work."""

from __future__ import annotations

from eventbook.declare.events import event_type
from eventbook.record.signals import DomainSignal


@event_type("probe.sent", version=1)
class ProbeSent:
    key: str
    behaviour: str = "ok"

    @property
    def subject(self) -> str:
        return f"probes/{self.key}"


probe_sent = DomainSignal(ProbeSent)


@event_type("probe.spread", version=1)
class ProbeSpread:
    """An event whose handler writes `size` effects, in parts if there are many."""

    key: str
    size: int

    @property
    def subject(self) -> str:
        return f"probes/{self.key}"


probe_spread = DomainSignal(ProbeSpread)


@event_type("probe.tried", version=1)
class ProbeTried:
    """An event whose handlers have retries and a time limit of their own."""

    key: str
    behaviour: str = "ok"

    @property
    def subject(self) -> str:
        return f"probes/{self.key}"


probe_tried = DomainSignal(ProbeTried)


@event_type("probe.repeated", version=1)
class ProbeRepeated:
    """An event of which handlers get only some: those of one `group` are a burst."""

    group: str
    key: str
    behaviour: str = "ok"

    @property
    def subject(self) -> str:
        return f"probes/{self.group}"


probe_repeated = DomainSignal(ProbeRepeated)


@event_type(
    "probe.moved",
    version=2,
    upcasters={1: lambda data: {**data, "by": data["steps"]}},
    numbered=True,
)
class ProbeMoved:
    """A numbered event: the probe moves by some steps, which version 1 calls `steps`."""

    key: str
    by: int

    @property
    def subject(self) -> str:
        return f"probes/{self.key}"


probe_moved = DomainSignal(ProbeMoved)
