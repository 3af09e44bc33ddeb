"""The counters and histograms that processes add to."""

from __future__ import annotations

from collections import defaultdict

from eventbook.operate.queries.values import rows

Measures = dict[str, dict[str, dict[str, float]]]


def measures() -> Measures:
    """Return all counters and histograms: values by metric, then stored labels, then bound."""
    found: Measures = defaultdict(lambda: defaultdict(dict))
    for metric, labels, bound, value in rows(
        "SELECT metric, labels, bound, value FROM eventbook_measure"
    ):
        found[metric][labels][bound] = value
    return found
