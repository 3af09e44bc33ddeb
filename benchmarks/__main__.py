"""`python -m benchmarks`: installs the peers, runs everything in turn, and prints the goals."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import servers as bench
from benchmarks import work as w

DATA = Path(os.environ.get("BENCH_DIR") or bench.ROOT / ".bench").absolute()
HERE = Path(__file__).resolve().parent


def install_node() -> None:
    """This installs the peers that run on Node.js, by their lock file, once."""
    there = DATA / "node"
    lock = (HERE / "node" / "package-lock.json").read_bytes()
    shutil.copytree(HERE / "node", there, dirs_exist_ok=True)
    stamp = there / "node_modules" / ".stamp"
    if not stamp.exists() or stamp.read_bytes() != lock:
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"],
            cwd=there, check=True,
        )  # fmt: skip
        stamp.write_bytes(lock)


def main() -> None:
    """This runs the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=5_000)
    parser.add_argument("--only", nargs="*", help="names of systems")
    options = parser.parse_args()
    DATA.mkdir(exist_ok=True)
    install_node()
    with bench.bench_servers(DATA) as running:
        os.environ |= bench.environment(running) | {"DJANGO_SETTINGS_MODULE": "config.settings"}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        run(running, options)


def run(running: Any, options: argparse.Namespace) -> None:
    """This runs the rounds, interleaved."""
    from benchmarks.systems import SYSTEMS

    names = options.only or list(SYSTEMS)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    with psycopg.connect(running.database_url, autocommit=True) as session:
        w.make_people(session)
        for number in range(options.rounds):
            for name in names:
                result = drain(SYSTEMS[name](), running, session, options.events)
                found[name].append(result)
                print(f"{number + 1} {name:24} {result['rate']:7.0f} events/s", result, flush=True)
    for name, results in found.items():
        rates = [result["rate"] for result in results]
        print(f"{name:24} {statistics.median(rates):8.0f}  {min(rates):.0f}–{max(rates):.0f}")
    (DATA / "results.json").write_text(json.dumps(found, indent=2))


def drain(system: Any, running: Any, session: psycopg.Connection, events: int) -> dict[str, Any]:
    """This measures how fast a system works off a backlog, from the first enqueue on."""
    w.make_work(session, 100, seed=1)
    system.start(running, session)
    try:
        for count, seed in ((100, 1), (events, w.SEED)):
            work = w.make_work(session, count, seed=seed)
            before = system.processes.cpu_seconds() | bench.server_seconds(running)
            own = time.process_time()
            began = time.monotonic()
            system.enqueue(work)
            enqueued = time.monotonic() - began
            bench.wait_until(
                system.is_done, seconds=600, what="all is done", processes=system.processes
            )
            seconds = time.monotonic() - began
            after = system.processes.cpu_seconds() | bench.server_seconds(running)
            used = {name: round(after[name] - before[name], 2) for name in after}
            used["self"] = round(time.process_time() - own, 2)
            w.check(session)
    finally:
        system.stop()
    return {
        "rate": events / seconds, "seconds": round(seconds, 3), "enqueued": round(enqueued, 3),
        "rows": work.rows, "cpu": used,
    }  # fmt: skip


if __name__ == "__main__":
    main()
