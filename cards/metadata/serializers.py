"""How what is known of a page is shown with its cards."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from api.serializers import Serializer
from cards.models import Metadata

STATUSES = ("pending", "fetched", "failed", "off")


class MetadataSerializer(Serializer):
    """What a page, or a registry, says of the work on it; empty where that is nothing."""

    status = serializers.ChoiceField(
        STATUSES,
        help_text="`pending`: it will be asked for. `off`: pages are not fetched here.",
    )
    error = serializers.CharField(help_text="Why the page could not be fetched the last time.")
    fetched_at = serializers.DateTimeField(allow_null=True)
    title = serializers.CharField()
    authors = serializers.ListField(child=serializers.CharField(), help_text="Given name first.")
    description = serializers.CharField()
    image = serializers.CharField(help_text="An address; the picture itself is not fetched.")
    site = serializers.CharField()
    published = serializers.CharField(help_text="YYYY, YYYY-MM or YYYY-MM-DD.")
    modified = serializers.CharField()
    journal = serializers.CharField()
    publisher = serializers.CharField()
    volume = serializers.CharField()
    issue = serializers.CharField()
    pages = serializers.CharField()
    doi = serializers.CharField(help_text="In small letters, as `10.1000/182`.")
    arxiv = serializers.CharField(help_text="Without a version.")
    pmid = serializers.CharField()
    isbn = serializers.CharField(help_text="13 digits.")
    pdf = serializers.CharField()
    canonical = serializers.CharField(help_text="What the page gives as its own address.")
    content_type = serializers.CharField(help_text="As `text/html` or `application/pdf`.")
    size = serializers.IntegerField(allow_null=True, help_text="In bytes, if the server says.")


EMPTY: dict[str, Any] = {
    name: [] if name == "authors" else None if name in {"fetched_at", "size"} else ""
    for name in map(str, MetadataSerializer().fields)
}


def shown(known: Metadata | None) -> dict[str, Any]:
    """Return what is shown of a page: a registry knows better than the page."""
    waits = "pending" if settings.FETCH_METADATA else "off"
    if known is None:
        return {**EMPTY, "status": waits}
    return {
        **EMPTY,
        **known.page,
        **known.registered,
        "status": waits if known.status == Metadata.Status.PENDING else known.status,
        "error": known.error,
        "fetched_at": known.fetched_at,
        "content_type": known.content_type,
        "size": known.size,
    }
