"""The template tag of the overview on the admin's first page."""

from __future__ import annotations

from typing import Any

from django import template

from eventbook.operate import diagnosis

register = template.Library()


@register.inclusion_tag("operate/overview.html")
def overview(user: Any) -> dict[str, Any]:
    """Return the findings that need attention, for users who may see or operate the queues."""
    if not user.has_perm("eventbook.view_queuecontrol") and not user.has_perm(
        "eventbook.operate_queues"
    ):
        return {"may_see": False}
    findings = list(diagnosis.quick_checks())
    return {"may_see": True, "wrong": [each for each in findings if not each.well]}
