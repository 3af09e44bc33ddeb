"""The figures of the whole event system: the outbox, the auditor's last results, the counters."""

from __future__ import annotations

from collections import defaultdict

from eventbook.models import Audit
from eventbook.operate.queries.values import rows, scalar

Measures = dict[str, dict[str, dict[str, float]]]


def relay_lag_seconds() -> float:
    """Return the age of the oldest event in the outbox; 0 if the outbox is empty."""
    return float(
        scalar(
            "SELECT coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float"
            " FROM eventbook_outboxentry WHERE recorded_at <= now()"
        )
    )


def outbox_length() -> int:
    """Return how many events are in the outbox, without those that wait for a later time."""
    return int(scalar("SELECT count(*) FROM eventbook_outboxentry WHERE recorded_at <= now()"))


def audits() -> list[tuple[str, int]]:
    """Return (rule, violations) of each audit rule at the auditor's last run."""
    return list(Audit.objects.order_by("rule").values_list("rule", "violations"))


def audit_age_seconds() -> float | None:
    """Return the time since the auditor's last run, or None if it has never run."""
    age = scalar("SELECT extract(epoch FROM now() - max(checked_at))::float FROM eventbook_audit")
    return None if age is None else float(age)


def measures() -> Measures:
    """Return all counters and histograms: values by metric, then stored labels, then bound."""
    found: Measures = defaultdict(lambda: defaultdict(dict))
    for metric, labels, bound, value in rows(
        "SELECT metric, labels, bound, value FROM eventbook_measure"
    ):
        found[metric][labels][bound] = value
    return found
