"""The template context of every page."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def links(request: HttpRequest) -> dict[str, str]:
    """Return Flower's address for the admin's header; empty if FLOWER_URL is not set."""
    return {"flower_url": settings.FLOWER_URL}
