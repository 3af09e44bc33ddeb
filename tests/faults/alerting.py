"""Find the alerts that a fault fires, from real scrapes and the real rules, run by promtool.

An alert needs a state that lasts for minutes, which a test can't wait for. So the exporter is
scraped once before the fault and twice during it, and the rest is extrapolated: ages and counters
keep the slope between the two scrapes, and all other metrics keep their value.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import yaml

from tests.deploy.prometheus import RULES, promtool, rules, selected
from tests.faults.world import World
from tests.harness.processes import wait_for
from tests.harness.scraping import Samples, parsed

# Minutes of the simulated time before and during the fault, and those at which alerts are read.
BEFORE, DURING = 30, 70
MINUTES = (BEFORE + 2, BEFORE + 5, BEFORE + 12, BEFORE + 40, BEFORE + DURING - 1)
FIRING = 'count by (alertname, queue) (ALERTS{alertstate="firing"})'
APART = 1.2  # seconds between two scrapes: longer than the exporter caches a response

GROWS = re.compile(r"(_total|_bucket|_count|_sum|oldest_seconds|lag_seconds|age_seconds)$")

Firing = set[tuple[str, str]]  # alert and queue


@dataclass(frozen=True)
class Scrape:
    """One scrape and its time; without samples if the exporter did not respond."""

    samples: Samples
    at: float


class Watch:
    """The scrapes that Prometheus would make of a fault; created before the fault."""

    def __init__(self, world: World) -> None:
        self.url = f"http://127.0.0.1:{world.ports['exporter']}/metrics"
        wait_for(lambda: self.scrape().samples, seconds=10, what="the exporter responds")
        # The first response may be cached from before the tables were emptied.
        _, self.before = self.scrape_twice()

    def scrape(self) -> Scrape:
        """Scrape the exporter."""
        samples: Samples = {}
        with suppress(httpx.TransportError):
            answer = httpx.get(self.url, timeout=20)
            samples = parsed(answer.text) if answer.status_code == 200 else {}
        return Scrape(samples, time.monotonic())

    def scrape_twice(self, *, apart: float = APART) -> tuple[Scrape, Scrape]:
        """Scrape the exporter twice, `apart` seconds from each other."""
        first = self.scrape()
        time.sleep(apart)
        return first, self.scrape()

    def tripped(self, first: Scrape, second: Scrape) -> Firing:
        """Return the alerts that fire if the fault continues, and did not fire before it."""
        firing = evaluate(self.series(first, second))
        return set().union(*(firing[at] for at in MINUTES)) - firing[BEFORE - 1]

    def series(self, first: Scrape, second: Scrape) -> list[dict[str, str]]:
        """Return the extrapolated time series of all metrics in the rules, for promtool."""
        named = {name for rule in rules() for name, _ in selected(rule["expr"])}
        keys = sorted(self.before.samples | first.samples | second.samples, key=str)
        minutes = (second.at - first.at) / 60
        found = []
        for name, labels in (key for key in keys if key[0] in named):
            before, start, end = (
                scrape.samples.get((name, labels)) for scrape in (self.before, first, second)
            )
            pairs = ", ".join(f'{label}="{text}"' for label, text in sorted(labels))
            slope = 0.0
            if start is not None and end is not None and GROWS.search(name):
                slope = (end - start) / minutes
            values = f"{constant(before, BEFORE)} {rising(end, slope)}"
            found.append({"series": f"{name}{{{pairs}}}", "values": values})
        return found


def constant(value: float | None, minutes: int) -> str:
    """Return a constant series of this many minutes, in promtool's notation."""
    return f"_x{minutes}" if value is None else f"{value:.6f}+0x{minutes - 1}"


def rising(value: float | None, slope: float) -> str:
    """Return a series of DURING minutes that changes by `slope` per minute."""
    if value is None:
        return f"stale _x{DURING - 1}"
    return f"{value:.6f}{slope:+.6f}x{DURING - 1}"


def evaluate(series: list[dict[str, str]]) -> dict[int, Firing]:
    """Return the firing alerts at each minute of MINUTES, and before the fault."""
    minutes = (BEFORE - 1, *MINUTES)
    checks = [{"expr": FIRING, "eval_time": f"{at}m", "exp_samples": []} for at in minutes]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": checks}
    whole = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "test.yml"
        path.write_text(yaml.dump(whole))
        done = promtool("test", "rules", path)
    # The expected samples are empty, so promtool prints each firing alert as a difference.
    output = done.stdout + done.stderr
    assert "SUCCESS" in output or "got:" in output, output
    found: dict[int, Firing] = {at: set() for at in minutes}
    for text in output.split("expr: ")[1:]:
        at = re.search(r"time: (?:(\d+)h)?(?:(\d+)m)?", text)
        assert at, text
        minute = 60 * int(at[1] or 0) + int(at[2] or 0)
        for labels in re.findall(r"\{(alertname=[^}]*)\}", text.partition("got:")[2]):
            pairs = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            found[minute].add((pairs["alertname"], pairs.get("queue", "")))
    return found
