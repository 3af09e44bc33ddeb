"""The auditor's last results."""

from __future__ import annotations

from eventbook.models import Audit
from eventbook.operate.queries.values import scalar


def audits() -> list[tuple[str, int]]:
    """Return (rule, violations) of each audit rule at the auditor's last run."""
    return list(Audit.objects.order_by("rule").values_list("rule", "violations"))


def audit_age_seconds() -> float | None:
    """Return the time since the auditor's last run, or None if it has never run."""
    age = scalar("SELECT extract(epoch FROM now() - max(checked_at))::float FROM eventbook_audit")
    return None if age is None else float(age)
