"""System checks over the parts that must fit together."""

from __future__ import annotations

import tomllib
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from events.queues import all_policies


@register()
def every_queue_has_workers(**_: Any) -> list[CheckMessage]:
    """This fails when a queue has no process group in fly.toml: its work would wait for ever."""
    path = settings.BASE_DIR / "fly.toml"
    if not path.exists():
        return []
    processes = tomllib.loads(path.read_text()).get("processes", {})
    return [
        Error(
            f"The queue {policy.name!r} has no workers: fly.toml has no process group "
            f"{policy.process_group!r} that runs `manage.py worker {policy.name}`.",
            hint="Add the process group, or take the queue out of config/queues.py.",
            id="config.E001",
        )
        for policy in all_policies().values()
        if not str(processes.get(policy.process_group, "")).endswith(f" worker {policy.name}")
    ]
