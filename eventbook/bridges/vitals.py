from __future__ import annotations

from eventbook.observe.vitals import Pulse

TARGET = "the target"


class BridgeVitals(Pulse):
    """The vitals of a bridge's process: while its target is down, it waits and is well.

    `duty` is what the process does, for example `publish nats`; operators see it as its queue.
    """

    def __init__(self, duty: str) -> None:
        super().__init__()
        self.queues = [duty]
        self._problem = ""

    def progress(self, *, next_round_within: float = 0.0) -> None:
        super().progress(next_round_within=next_round_within)
        self._problem = ""

    def target_down(self, problem: str) -> None:
        """Note that a round failed because of the target: the problem is shown to operators."""
        self._problem = problem
        self.wait_for(TARGET)

    def trouble(self) -> str:
        return self._problem or super().trouble()
