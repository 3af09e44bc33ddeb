"""Scrapes: what /metrics answers, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from events.metrics import snapshot

Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]


def parsed(text: str) -> Samples:
    """These are the samples of a text, by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape() -> Samples:
    """These are the samples as they are now, in this process."""
    snapshot.snapshot.forget()
    body, _ = snapshot.exposition("")
    return parsed(body.decode())


def value(samples: Samples, name: str, **labels: str) -> float:
    """This is one sample's value."""
    return samples[name, frozenset(labels.items())]
