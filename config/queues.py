"""The policy of each queue: one row a queue; every number can be set from the environment.

`NOTIFICATIONS_CONCURRENCY=4` overrides `concurrency` of `notifications`, and so on. Celery's
queues and routes, the worker command lines, retries, retention and alerts derive from this table.
"""

from __future__ import annotations

import dataclasses
import os
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
)


def from_environment(policy: QueuePolicy) -> QueuePolicy:
    """This answers the policy with each number that the environment sets put in its place."""
    numbers: dict[str, Any] = {
        field.name: int(text)
        for field in dataclasses.fields(policy)
        if field.type == "int" and (text := os.environ.get(f"{policy.name}_{field.name}".upper()))
    }
    return dataclasses.replace(policy, **numbers)


def load() -> dict[str, QueuePolicy]:
    """This answers the table in force, by queue name, the most urgent queue first."""
    policies = [from_environment(policy) for policy in QUEUES]
    return {policy.name: policy for policy in sorted(policies, key=lambda p: -p.priority)}
