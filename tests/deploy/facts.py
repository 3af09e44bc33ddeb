"""What fly.toml says: the facts that all ways to deploy must agree with."""

from __future__ import annotations

import tomllib
from typing import Any

from config.queues import QUEUES
from tests.harness.processes import ROOT

FLY: dict[str, Any] = tomllib.loads((ROOT / "fly.toml").read_text())
PROCESSES: dict[str, str] = FLY["processes"]
WORKERS = {policy.process_group for policy in QUEUES}
# The most that a process of each group was seen to take, in MiB (docs/scaling.md).
MEASURED = {
    "web": 176,
    "relay": 76,
    "beat": 84,
    "exporter": 76,
    "flower": 96,
    **dict.fromkeys(WORKERS, 207),
}
# What comes from secrets, and so is in no file of the repository.
SECRETS = {
    "DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "FLOWER_BASIC_AUTH",
    "METRICS_TOKEN",
}
# What differs by where it runs, and not by what it runs.
ADDRESSES = {"ALLOWED_HOSTS", "CSRF_TRUSTED_ORIGINS", "TRUSTED_PROXIES"}


def seconds(text: str) -> float:
    """Return the seconds of a duration, for example `60s` or `5m`."""
    return float(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def mebibytes(text: str) -> int:
    """Return the MiB of a size, for example `512mb` or `1g`."""
    number, unit = text.rstrip("gmb"), text.lstrip("0123456789")[0]
    return int(number) * {"m": 1, "g": 1024}[unit]
