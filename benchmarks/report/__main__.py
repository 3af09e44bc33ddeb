"""`python -m benchmarks.report`: report the latest run again."""

from __future__ import annotations

import json

from benchmarks.report import LATEST, publish, show

if __name__ == "__main__":
    results = json.loads(LATEST.read_text())
    show(results)
    publish(results)
