"""What is measured of a worker's batch."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from events.metrics import counters
from events.registry import Handler


class Run:
    """One run of a handler, timed by the monotonic clock while the block lasts.

    Ages are PostgreSQL's, as the claim tells them; what passes after it is added by this clock. So
    no two machines' clocks are ever compared.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.ages: Sequence[float] = ()
        self.began = 0.0

    def __enter__(self) -> Run:
        self.began = time.monotonic()
        return self

    def claimed(self, ages: Sequence[float]) -> None:
        """This notes how old each delivery was, in seconds, when the run began."""
        self.ages = ages

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if not self.ages:
            return
        elapsed = time.monotonic() - self.began
        name, queue = self.handler.name, self.handler.queue
        counters.observe("handler_seconds", elapsed, handler=name, queue=queue)
        counters.observe("handler_batch_size", len(self.ages), handler=name)
        if kind is None:
            done = [age + elapsed for age in self.ages]
            counters.observe_each("queue_wait_seconds", self.ages, queue=queue)
            counters.observe_each("delivery_seconds", done, queue=queue)


def settled(handler: Handler, outcomes: Mapping[str, int], *, of: int) -> None:
    """This counts what became of a batch `of` so many deliveries, and flushes once a second."""
    count_outcomes(handler, outcomes)
    count_outcomes(handler, {"passed_over": of - sum(outcomes.values())})
    counters.flush(older_than=counters.FLUSH_SECONDS)


def count_outcomes(handler: Handler, outcomes: Mapping[str, int]) -> None:
    """This counts what became of deliveries to a handler."""
    name, queue = handler.name, handler.queue
    for outcome, amount in outcomes.items():
        if amount:
            counters.count("deliveries_total", amount, handler=name, queue=queue, outcome=outcome)
