"""The overview on the admin's first page."""

from __future__ import annotations

from typing import Any

from django import template

from events import diagnosis

register = template.Library()


@register.inclusion_tag("events/overview.html")
def overview(user: Any) -> dict[str, Any]:
    """Return what is wrong with the work and the processes, for staff who may see the queues."""
    if not user.has_perm("events.view_queuecontrol") and not user.has_perm("events.operate_queues"):
        return {"may_see": False}
    findings = list(diagnosis.glance())
    return {"may_see": True, "wrong": [each for each in findings if not each.well]}
