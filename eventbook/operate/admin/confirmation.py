"""The page that asks staff to confirm before deliveries are discarded for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.http import HttpRequest
from django.template.response import TemplateResponse

from eventbook.operate.actions import Purged


def is_confirmed(request: HttpRequest) -> bool:
    """Return whether the request was sent from the confirmation page."""
    return request.POST.get("post") == "yes"


def confirmation(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    *,
    title: str,
    counts: Mapping[str, int],
    left: int = 0,
) -> TemplateResponse:
    """Return the confirmation page, whose button repeats the action of this request.

    `counts` maps a handler's name to its number of chosen deliveries. `left` is the number of
    chosen deliveries that stay, because a worker holds them.
    """
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
        # With "select across", the filter in the page's URL chooses the rows again.
        "selected": request.POST.getlist(helpers.ACTION_CHECKBOX_NAME),
        "select_across": across,
    }
    return TemplateResponse(request, "operate/confirmation.html", context)


def purge_message(purged: Purged) -> str:
    """Return a sentence that says how many deliveries were discarded, and how many were not."""
    left = f" {purged.held} are held by workers and were left." if purged.held else ""
    return f"{purged.discarded} deliveries discarded.{left}"
