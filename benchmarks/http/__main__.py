"""`python -m benchmarks.http`: run only the HTTP part of the benchmark."""

from __future__ import annotations

import argparse
import json
from typing import Any

import psycopg

from benchmarks import servers as bench
from benchmarks.__main__ import DATA, install_node


def main() -> None:
    """Measure, and write the figures to http.json in the data directory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_args()
    install_node()
    with bench.project(DATA) as servers:
        found = measure(servers, options)
    (DATA / "http.json").write_text(json.dumps(found, indent=2))


def measure(servers: Any, options: argparse.Namespace) -> Any:
    """Measure on running servers; call after Django is set up."""
    from benchmarks import http

    with psycopg.connect(servers.database_url, autocommit=True) as session:
        return http.measure(servers, session, rounds=options.rounds, short=options.short)


if __name__ == "__main__":
    main()
