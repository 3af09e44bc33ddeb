"""The queue table: the policy of each queue (fields: eventbook/declare/queues.py).

Celery's queues and routes, the workers' command lines, retries, retention and alerts all derive
from this table. The environment can set every number: `NOTIFICATIONS_CONCURRENCY=4` overrides
`concurrency` of `notifications`, and so on.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from eventbook import QueuePolicy

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
    # Fetches pages: one at a time from each host, from many hosts at once. A fetch mostly waits for
    # the network, so there are more processes than in other queues. Each processes one page at a
    # time: in a batch, pages would wait behind a slow one while other processes are idle. Messages
    # may therefore stay in the broker longer before they count as lost.
    QueuePolicy(
        name="metadata",
        process_group="metadata-worker",
        priority=4,
        # Eight processes use 380 MB: they share the memory of code loaded before the fork.
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
        # Each event is a batch of 100 rows. With few events in a message, all workers get a share.
        bulk_batch_size=4,
        # Rate limit of each source: one fetched address, or all uploads of one person.
        group_limit=100,
        group_seconds=1,
        slo_seconds=60,
    ),
)


def group_of_command(argv: Sequence[str]) -> str:
    """Return the process group of `manage.py worker QUEUE …`, or "" for any other command.

    A worker of several queues is in none of their groups: the queues' names make one.
    """
    if argv[1:2] != ["worker"]:
        return ""
    groups = {policy.name: policy.process_group for policy in QUEUES}
    names = [name for name in argv[2:] if name in groups]
    return groups[names[0]] if len(names) == 1 else f"{'+'.join(names)}-worker"


def from_environment(policy: QueuePolicy) -> QueuePolicy:
    """Return a copy of the policy with the numbers that the environment sets."""
    numbers: dict[str, Any] = {
        field.name: int(text)
        for field in dataclasses.fields(policy)
        if field.type == "int" and (text := os.environ.get(f"{policy.name}_{field.name}".upper()))
    }
    return dataclasses.replace(policy, **numbers)


def load() -> dict[str, QueuePolicy]:
    """Return each queue's policy by name, with the environment's numbers, most urgent first."""
    policies = [from_environment(policy) for policy in QUEUES]
    return {policy.name: policy for policy in sorted(policies, key=lambda p: -p.priority)}
