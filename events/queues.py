"""What a queue promises, and what its workers may do."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

BULK = 1  # the priority of bulk work (events.models.Priority; models can't be imported here)


@dataclass(frozen=True, kw_only=True)
class QueuePolicy:
    """One row of the queue table (config/queues.py).

    Times are whole seconds. `priority` runs from 0 to 9, the most urgent: the relay serves queues
    in that order. `high_water` is the number of messages (chunks of up to `batch_size`
    deliveries) that may wait in the broker; what is beyond it waits in PostgreSQL.
    """

    name: str
    process_group: str
    priority: int
    concurrency: int
    max_attempts: int
    backoff_seconds: int
    backoff_cap_seconds: int = 600
    batch_size: int = 1000
    # Interactive work waits for no longer than a batch of bulk work takes.
    bulk_batch_size: int = 100
    high_water: int = 100
    # A message that was not worked off after this time counts as lost once its queue is short.
    redelivery_seconds: int = 7
    # A worker extends its lease while it works; another one may take over after this time.
    lease_seconds: int = 15
    time_limit_seconds: int = 300
    # Between asking a handler that takes too long to stop, and killing its process.
    grace_seconds: int = 10
    # At most so many calls in any window, of the whole cluster, and of each group; 0 for no limit.
    # They are for handlers with outside effects (events/limits.py).
    rate_limit: int = 0
    rate_seconds: int = 60
    group_limit: int = 0
    group_seconds: int = 60
    # Retries a second of the whole cluster: a service that heals meets no second spike.
    retry_rate: int = 50
    # Of its workers, from 0 to 19: where they share a machine with others, those go first.
    niceness: int = 0
    keep_done: int = 10_000
    slo_seconds: int = 30

    def largest_batch(self, priority: int) -> int:
        """Return how many deliveries of a priority go into one message."""
        return self.bulk_batch_size if priority <= BULK else self.batch_size

    def at_once(self, priority: int) -> int:
        """Return how many messages of a priority a worker process works on at once.

        Of several children, one is left free of bulk work (events/transport.py).
        """
        return max(1, self.concurrency - 1) if priority <= BULK else self.concurrency


class UnknownQueue(Exception):
    """The queue is not in the queue table (config/queues.py)."""


def all_policies() -> dict[str, QueuePolicy]:
    """Return every queue's policy by name, the most urgent first."""
    policies: dict[str, QueuePolicy] = settings.QUEUES
    return policies


def policy_of(queue: str) -> QueuePolicy:
    """Return the policy of one queue, or raise UnknownQueue with the names that exist."""
    try:
        return all_policies()[queue]
    except KeyError:
        names = ", ".join(all_policies())
        raise UnknownQueue(f"There is no queue {queue!r}. The queues are: {names}.") from None
