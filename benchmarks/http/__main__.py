"""`python -m benchmarks.http`: run only the HTTP part of the benchmark."""

from __future__ import annotations

import argparse
import json

from benchmarks import http
from benchmarks import servers as bench
from benchmarks.__main__ import DATA, install_node


def main() -> None:
    """Measure, and write the figures to http.json in the data directory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    install_node()
    with bench.connected(DATA) as (servers, session):
        found = http.measure(servers, session, rounds=options.rounds, short=options.short)
    (DATA / "http.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
