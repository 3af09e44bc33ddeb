"""`python -m benchmarks`: measure all systems in turn, and report which goals were met."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks import servers as bench

DATA = Path(os.environ.get("BENCH_DIR") or bench.ROOT / ".bench").absolute()
HERE = Path(__file__).resolve().parent
PARTS = ("work", "growth", "mixed", "celebrity", "http", "brokers")  # of benchmarks/run.py


def main() -> None:
    """Run the benchmark, and publish its figures."""
    options = arguments()
    DATA.mkdir(exist_ok=True)
    install_node()
    with bench.project(DATA) as servers:
        from benchmarks.run import Run

        run = Run(servers, options)
        if options.keep and options.out.exists():
            run.rounds.update(json.loads(options.out.read_text())["rounds"])
        run.all()
        publish(run.results(DATA / "node" / "node_modules"), options)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one small round: five minutes")
    parser.add_argument("--rounds", type=int, help="rounds (3, short 1)")
    parser.add_argument("--events", type=int, help="events in a backlog (5,000, short 2,000)")
    parser.add_argument("--systems", nargs="+", help="only these systems")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="only these parts")
    parser.add_argument(
        "--keep", action="store_true", help="keep the file's figures of other parts"
    )
    parser.add_argument("--out", type=Path, help="file for the figures (short: .bench/short.json)")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.short else 3)
    options.events = options.events or (2_000 if options.short else 5_000)
    options.out = options.out or (DATA / "short.json" if options.short else report.LATEST)
    return options


def install_node() -> None:
    """Install the Node.js peers from their lock file, unless that is done already."""
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


def publish(results: dict[str, Any], options: argparse.Namespace) -> None:
    """Print and store the figures; write those of a full run into the documents."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    report.show(results)
    print("All figures:", options.out)
    if results["machine"]["form"] == "full" and options.out == report.LATEST:
        report.publish(results)


if __name__ == "__main__":
    main()
