"""The API's representation of a page's metadata, shown with its cards."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from api.serializers import Serializer
from pages.models import Metadata

STATUSES = ("pending", "fetched", "failed", "off")


class MetadataSerializer(Serializer):
    """The metadata of a page, from the page or a registry; unknown fields are empty."""

    status = serializers.ChoiceField(
        STATUSES,
        help_text="`pending`: the page will be fetched. `off`: this server fetches no pages.",
    )
    error = serializers.CharField(help_text="Why the last fetch of the page failed.")
    fetched_at = serializers.DateTimeField(allow_null=True)
    title = serializers.CharField()
    authors = serializers.ListField(child=serializers.CharField(), help_text="Given name first.")
    description = serializers.CharField()
    image = serializers.CharField(help_text="The picture's address; it is not fetched.")
    site = serializers.CharField()
    published = serializers.CharField(help_text="YYYY, YYYY-MM or YYYY-MM-DD.")
    modified = serializers.CharField()
    journal = serializers.CharField()
    publisher = serializers.CharField()
    volume = serializers.CharField()
    issue = serializers.CharField()
    pages = serializers.CharField()
    doi = serializers.CharField(help_text="In lower case, for example `10.1000/182`.")
    arxiv = serializers.CharField(help_text="Without the version.")
    pmid = serializers.CharField()
    isbn = serializers.CharField(help_text="13 digits.")
    pdf = serializers.CharField()
    canonical = serializers.CharField(help_text="The address that the page declares.")
    content_type = serializers.CharField(help_text="For example `text/html`.")
    size = serializers.IntegerField(allow_null=True, help_text="In bytes, if known.")


EMPTY: dict[str, Any] = {
    name: [] if name == "authors" else None if name in {"fetched_at", "size"} else ""
    for name in map(str, MetadataSerializer().fields)
}


def metadata_json(known: Metadata | None) -> dict[str, Any]:
    """Return the representation of a page's metadata; a registry's values win over the page's."""
    waits = "pending" if settings.FETCH_METADATA else "off"
    if known is None:
        return {**EMPTY, "status": waits}
    return {
        **EMPTY,
        **known.page_fields,
        **known.registry_fields,
        "status": waits if known.status == Metadata.Status.PENDING else known.status,
        "error": known.error,
        "fetched_at": known.fetched_at,
        "content_type": known.content_type,
        "size": known.size,
    }
