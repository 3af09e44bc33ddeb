"""Read the metrics that /metrics exposes, parsed as Prometheus does."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from eventbook.operate.metrics import snapshot

Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]


def parsed(text: str) -> Samples:
    """Return the samples of an exposition by (name, labels)."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape() -> Samples:
    """Return the current samples of this process."""
    snapshot.snapshot.clear()
    body, _ = snapshot.exposition("")
    return parsed(body.decode())


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the value of one sample."""
    return samples[name, frozenset(labels.items())]
