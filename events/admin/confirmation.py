"""The page between choosing what to give up for good, and doing so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse

from events.services import Purged


def is_confirmed(request: HttpRequest) -> bool:
    """Return whether the action comes from the page that asked."""
    return request.POST.get("post") == "yes"


def confirmation(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    chosen: QuerySet[Any],
    *,
    title: str,
    counts: Mapping[str, int],
    left: int = 0,
) -> TemplateResponse:
    """Return the page: counts by handler, how many are left alone, and the action again."""
    across = request.POST.get("select_across") == "1"
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "media": model_admin.media,
        "counts": counts,
        "total": sum(counts.values()),
        "left": left,
        "action": request.POST["action"],
        # All that fit the list's filter are chosen again by the filter: it is in the address.
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "select_across": across,
    }
    return TemplateResponse(request, "events/confirmation.html", context)


def told(purged: Purged) -> str:
    """Tell what was given up, and what was not."""
    left = f" {purged.in_hand} are in workers' hands, and left." if purged.in_hand else ""
    return f"{purged.discarded} deliveries discarded.{left}"
