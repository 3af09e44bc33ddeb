"""What every page may link to."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest


def links(request: HttpRequest) -> dict[str, str]:
    """Return the address of Flower, for the admin's header; empty where it is not known."""
    return {"flower_url": settings.FLOWER_URL}
