"""Queue policies: the numbers that apply to each queue's messages, handlers and workers."""

from __future__ import annotations

from dataclasses import dataclass

from eventbook.conf import conf

BULK = 1  # the priority of bulk work (eventbook.models.Priority; models can't be imported here)


@dataclass(frozen=True, kw_only=True)
class QueuePolicy:
    """One row of the queue table (config/queues.py).

    Times are whole seconds. `priority` runs from 0 to 9, the most urgent: the relay publishes in
    that order. `high_water` is the number of messages (chunks of up to `batch_size` deliveries)
    that each lane may hold in the broker; further deliveries wait in PostgreSQL.
    """

    name: str
    process_group: str
    priority: int
    concurrency: int
    max_attempts: int
    backoff_seconds: int
    backoff_cap_seconds: int = 600
    batch_size: int = 1000
    # Small, since interactive work may have to wait for a bulk batch to end.
    bulk_batch_size: int = 100
    high_water: int = 100
    # A message not processed after this time counts as lost, once its queue is short.
    redelivery_seconds: int = 7
    # The time from a lease's last extension to its expiry; then another worker may take over.
    lease_seconds: int = 15
    # The time after which a running handler is interrupted by an exception.
    time_limit_seconds: int = 300
    # The time from that exception until the handler's process is killed.
    grace_seconds: int = 10
    # The most calls of the cluster in any window of `rate_seconds`; 0 for no limit. Only for
    # handlers with effects outside the database (eventbook/deliveries/limits.py).
    rate_limit: int = 0
    rate_seconds: int = 60
    # The most calls of one group (Handler.group) in any window of `group_seconds`; 0 for no limit.
    group_limit: int = 0
    group_seconds: int = 60
    # Retries a second in the whole cluster, so that a service which recovers isn't flooded again.
    retry_rate: int = 50
    # Of the workers' processes, 0 to 19: on a shared machine, processes with the lowest niceness
    # get the CPU first.
    niceness: int = 0
    keep_done: int = 10_000  # the newest done deliveries, which retention keeps
    slo_seconds: int = 30  # a delivery that takes longer counts as late

    @property
    def longest_run_seconds(self) -> int:
        """Return after how many seconds the process of a run is killed."""
        return self.time_limit_seconds + self.grace_seconds

    def largest_batch(self, priority: int) -> int:
        """Return the most deliveries of a priority that go into one message."""
        return self.bulk_batch_size if priority <= BULK else self.batch_size

    def concurrency_for(self, priority: int) -> int:
        """Return how many messages of a priority one worker's children run at once.

        If there are several children, one stays free of bulk work (eventbook/brokers/transport.py).
        """
        return max(1, self.concurrency - 1) if priority <= BULK else self.concurrency


class UnknownQueue(Exception):
    """The queue is not in the queue table (config/queues.py)."""


def all_policies() -> dict[str, QueuePolicy]:
    """Return every queue's policy by name, the most urgent first."""
    policies: dict[str, QueuePolicy] = conf.QUEUES
    return policies


def policy_of(queue: str) -> QueuePolicy:
    """Return the policy of one queue, or raise UnknownQueue with the names that exist."""
    try:
        return all_policies()[queue]
    except KeyError:
        names = ", ".join(all_policies())
        raise UnknownQueue(f"There is no queue {queue!r}. The queues are: {names}.") from None
