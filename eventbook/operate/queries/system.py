"""The figures of the whole event system: the outbox, the auditor's last results, the counters."""

from __future__ import annotations

from collections import defaultdict

from eventbook.models import Audit
from eventbook.operate.queries.values import rows, scalar

# Without the events that wait for a later time: there may be very many, which no index counts.
PRESENT = "FROM eventbook_outboxentry WHERE (priority > 0 OR due_at <= now())"
LAG = f"SELECT coalesce(extract(epoch FROM now() - min(recorded_at)), 0)::float {PRESENT}"  # noqa: S608 - of constants
LENGTH = f"SELECT count(*) {PRESENT}"

Measures = dict[str, dict[str, dict[str, float]]]


def relay_lag_seconds() -> float:
    """Return for how long the oldest event in the outbox could have been relayed; 0 if none is."""
    return float(scalar(LAG))


def outbox_length() -> int:
    """Return how many events are in the outbox, without those that wait for a later time."""
    return int(scalar(LENGTH))


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
