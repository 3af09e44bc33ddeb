"""Measurements of a worker's batch: run time, size, latency, lateness and outcomes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from eventbook.declare.handlers import Handler
from eventbook.declare.queues import policy_of
from eventbook.deliveries.controls import seconds_unpaused
from eventbook.observe import counters


class RunTimer:
    """A context manager that measures one run of a handler by the monotonic clock.

    The claim returns the ages of deliveries by PostgreSQL's clock; the time since then is added by
    the monotonic clock. So the clocks of two machines are never compared.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.ages: Sequence[float] = ()
        self.since_ready: Sequence[float] = ()
        self.began = 0.0

    def __enter__(self) -> RunTimer:
        self.began = time.monotonic()
        return self

    def claimed(self, ages: Sequence[float], *, since_ready: Sequence[float] | None = None) -> None:
        """Note each delivery's `age` and `since_ready` (states.Claimed) at the start of the run.

        Without `since_ready`, the ages are used: they are equal for deliveries that never waited
        for a retry or a rate limit.
        """
        self.ages = ages
        self.since_ready = ages if since_ready is None else since_ready

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Add the run to the metrics; waits and latencies only if no exception was raised."""
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
            self._count_late(elapsed)

    def _count_late(self, elapsed: float) -> None:
        """Count the deliveries done later than the queue's SLO; none soon after a pause."""
        queue = self.handler.queue
        slo = policy_of(queue).slo_seconds
        if max(self.since_ready) + elapsed <= slo or seconds_unpaused(queue) <= slo:
            return
        late = sum(seconds + elapsed > slo for seconds in self.since_ready)
        counters.count("deliveries_late_total", late, queue=queue)


def count_batch(handler: Handler, outcomes: Mapping[str, int], *, size: int) -> None:
    """Count the outcomes of a batch, and flush at most once a second.

    `outcomes` maps each outcome to its number of deliveries; the rest count as passed over.
    """
    count_outcomes(handler, outcomes)
    count_outcomes(handler, {"passed_over": size - sum(outcomes.values())})
    counters.flush(older_than=counters.FLUSH_SECONDS)


def count_outcomes(handler: Handler, outcomes: Mapping[str, int]) -> None:
    """Add to a handler's counters the numbers of deliveries by outcome."""
    name, queue = handler.name, handler.queue
    for outcome, amount in outcomes.items():
        if amount:
            counters.count("deliveries_total", amount, handler=name, queue=queue, outcome=outcome)
