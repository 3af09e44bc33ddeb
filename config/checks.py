"""Django system checks: parts in different files that must match each other."""

from __future__ import annotations

import tomllib
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from eventbook.operate import all_policies


@register()
def every_queue_has_workers(**_: Any) -> list[CheckMessage]:
    """Report each queue without a process group in fly.toml: its work would wait for ever."""
    path = settings.BASE_DIR / "fly.toml"
    if not path.exists():
        return []
    processes = tomllib.loads(path.read_text(encoding="utf-8")).get("processes", {})
    return [
        Error(
            f"The queue {policy.name!r} has no workers: fly.toml has no process group "
            f"{policy.process_group!r} that runs `manage.py worker {policy.name}`.",
            hint="Add the process group, or remove the queue from config/queues.py.",
            id="config.E001",
        )
        for policy in all_policies().values()
        if not str(processes.get(policy.process_group, "")).endswith(f" worker {policy.name}")
    ]
