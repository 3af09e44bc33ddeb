"""The policy of each queue: one row a queue; every number can be set from the environment.

`NOTIFICATIONS_CONCURRENCY=4` overrides `concurrency` of `notifications`, and so on. Celery's
queues and routes, the worker command lines, retries, retention and alerts derive from this table.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from events.queues import QueuePolicy

QUEUES = (
    QueuePolicy(
        name="notifications",
        process_group="notification-worker",
        priority=9,
        concurrency=2,
        max_attempts=5,
        backoff_seconds=1,
        keep_done=100_000,
        slo_seconds=5,
    ),
    QueuePolicy(
        name="feeds",
        process_group="feed-worker",
        priority=6,
        concurrency=2,
        max_attempts=3,
        backoff_seconds=2,
        keep_done=100_000,
        slo_seconds=30,
    ),
    # The default queue: maintenance, and handlers that need no queue of their own.
    QueuePolicy(
        name="events",
        process_group="event-worker",
        priority=5,
        concurrency=1,
        max_attempts=3,
        backoff_seconds=2,
        keep_done=50_000,
        slo_seconds=30,
    ),
    # Pages are fetched one at a time for each host, and many hosts at once. A fetch mostly waits,
    # so there are more processes than elsewhere, and each takes one page: in a batch, pages would
    # wait behind others while processes idle. And so they may wait in the broker for longer.
    QueuePolicy(
        name="metadata",
        process_group="metadata-worker",
        priority=4,
        # Eight take 380 MB: they share what was loaded before they were forked.
        concurrency=8,
        max_attempts=3,
        backoff_seconds=2,
        batch_size=1,
        bulk_batch_size=1,
        high_water=50,
        redelivery_seconds=60,
        time_limit_seconds=120,
        group_limit=1,
        group_seconds=1,
        slo_seconds=60,
    ),
    QueuePolicy(
        name="imports",
        process_group="import-worker",
        priority=1,
        concurrency=1,
        max_attempts=3,
        backoff_seconds=1,
        niceness=10,
        # Few batches, of 100 rows each, in one message: the workers share them.
        bulk_batch_size=4,
        # Calls for each source: an address, or the uploads of one person.
        group_limit=100,
        group_seconds=1,
        slo_seconds=60,
    ),
)


def group_of(names: Sequence[str]) -> str:
    """Return the process group of who works on these queues, if nothing else names it."""
    groups = {policy.name: policy.process_group for policy in QUEUES}
    only = names[0] if len(names) == 1 else ""
    return groups.get(only, f"{'+'.join(names)}-worker")


def from_environment(policy: QueuePolicy) -> QueuePolicy:
    """Return the policy with each number that the environment sets put in its place."""
    numbers: dict[str, Any] = {
        field.name: int(text)
        for field in dataclasses.fields(policy)
        if field.type == "int" and (text := os.environ.get(f"{policy.name}_{field.name}".upper()))
    }
    return dataclasses.replace(policy, **numbers)


def load() -> dict[str, QueuePolicy]:
    """Return the table in force, by queue name, the most urgent queue first."""
    policies = [from_environment(policy) for policy in QUEUES]
    return {policy.name: policy for policy in sorted(policies, key=lambda p: -p.priority)}
