"""Send requests to a site from a separate process (node/load.mjs)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import count
from typing import Any

from benchmarks.http.sites import Site
from benchmarks.servers import server_seconds

PATIENCE = 60.0  # timeout in seconds, in addition to the duration of the load
_number = count(1)


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load of requests: `rate` per second, or without a rate as fast as responses come."""

    path: str
    tokens: Sequence[str]
    connections: int
    seconds: float
    status: int = 200
    rate: float | None = None
    body: str | None = None
    cards: int = 1  # cards per request, if `body` is "cards"

    def lasting(self, seconds: float) -> Load:
        """Return the same load with another duration."""
        return replace(self, seconds=seconds)


def send(site: Site, load: Load) -> dict[str, Any]:
    """Send the load to a site; return the figures, with CPU seconds by process.

    Raise RuntimeError with an example if any response had another status than `load.status`.
    """
    before = _cpu(site)
    found = _run(site, load)
    after = _cpu(site)
    used = {name: round(after[name] - before.get(name, 0.0), 2) for name in after}
    if found["errors"]:
        raise RuntimeError(f"{site.name}: {found['errors']} errors, e.g. {found['example']}")
    return found | {"cpu": used | {"load": round(found["cpu"], 2)}}


def _cpu(site: Site) -> dict[str, float]:
    site.processes.require_alive()
    return site.processes.cpu_seconds() | server_seconds(site.servers)


def _run(site: Site, load: Load) -> dict[str, Any]:
    """Run the load generator, and return its figures; raise RuntimeError if it fails."""
    where = site.servers.data / "node"
    # A new name for each load, so that its pages and idempotency keys are new.
    plan = asdict(load) | {"origin": f"http://127.0.0.1:{site.port}", "name": f"r{next(_number)}"}
    file = where / "load.json"
    file.write_text(json.dumps(plan))
    answer = subprocess.run(
        ["node", str(where / "load.mjs"), str(file)],
        capture_output=True, text=True, timeout=load.seconds + PATIENCE, check=False,
    )  # fmt: skip
    if answer.returncode:
        raise RuntimeError(f"The load generator failed:\n{answer.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def result(found: dict[str, Any], *, rate: float | None = None) -> dict[str, Any]:
    """Return the rounded figures of a round; `rate` replaces the measured one."""
    return {
        "rate": round(found["rate"] if rate is None else rate, 1),
        "p50_ms": round(found["p50_ms"], 2),
        "p99_ms": round(found["p99_ms"], 2),
        "errors": found["errors"],
        "cpu": found["cpu"],
    }
