"""Describe the environment of a run: machine, servers and packages."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.servers import POSTGRES, ROOT

PACKAGES = (
    "celery",
    "kombu",
    "django",
    "djangorestframework",
    "psycopg",
    "granian",
    "uvicorn",
    "redis",
)
PEERS = ("dramatiq", "procrastinate")


def machine(session: psycopg.Connection, node_modules: Path) -> dict[str, Any]:
    """Return the facts that a comparison with another run needs."""
    row = session.execute("SHOW server_version").fetchone()
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": row[0] if row else "",
        "postgresql_settings": POSTGRES,
        "node": _said("node", "--version"),
        "packages": _python_packages() | _node_packages(node_modules),
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _said("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _said(*command: str) -> str:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip()


def _python_packages() -> dict[str, str]:
    found = {}
    for name in (*PACKAGES, *PEERS):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _node_packages(modules: Path) -> dict[str, str]:
    return {
        file.parent.name: json.loads(file.read_text())["version"]
        for name in ("bullmq", "ioredis", "pg", "fastify", "autocannon")
        if (file := modules / name / "package.json").exists()
    }
