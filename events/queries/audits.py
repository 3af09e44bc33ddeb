"""What the auditor found last."""

from __future__ import annotations

from events.models import Audit
from events.queries.values import value


def audits() -> list[tuple[str, int]]:
    """Return the violations of each rule that the auditor found last."""
    return list(Audit.objects.order_by("rule").values_list("rule", "violations"))


def audit_age_seconds() -> float | None:
    """Return how long ago the auditor looked, or None if it never has."""
    age = value("SELECT extract(epoch FROM now() - max(checked_at))::float FROM events_audit")
    return None if age is None else float(age)
