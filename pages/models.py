"""The tables of web pages, of their metadata, and of the robots.txt files of their sites."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Greatest


class Url(models.Model):
    """One web page. Cards about the same page share this row, however they spell its address."""

    canonical = models.TextField(max_length=2048)
    host = models.TextField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)
    # When the page first had a public card; null while all cards about it have been private.
    public_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        # With `unique=True` or `db_index=True`, Django would add a second index for LIKE.
        constraints = [
            # With two rows for one page, its cards would not find each other.
            models.UniqueConstraint(fields=["canonical"], name="one_url_per_page"),
        ]
        indexes = [models.Index(fields=["host"], name="url_by_host")]

    def __str__(self) -> str:
        # The address is left out: all cards about the page may be private.
        return f"page {self.pk}"

    @property
    def metadata_or_none(self) -> Metadata | None:
        """Return the page's metadata, or None; run a query unless it is cached."""
        # The error for a missing related row is an AttributeError, too.
        return getattr(self, "metadata", None)

    def cache_metadata(self, metadata: Metadata | None) -> None:
        """Cache the page's metadata, or its absence, so that `metadata_or_none` runs no query."""
        field: Any = self._meta.get_field("metadata")
        field.set_cached_value(self, metadata)


class Metadata(models.Model):
    """A page's metadata: from the page itself, and from a registry that knows the work on it.

    A page without this row has not been fetched yet. A registry is a database of works, for example
    Crossref (pages/metadata/registries.py).
    """

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting to be fetched"
        FETCHED = "fetched", "Fetched"
        FAILED = "failed", "Failed"

    url = models.OneToOneField(Url, models.CASCADE, primary_key=True, related_name="metadata")
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    # The code of the last fetch's error.
    error_code = models.CharField(max_length=20, blank=True)
    # The last fetch's error as a sentence for people.
    error = models.CharField(max_length=300, blank=True)
    # The number of failed fetches since the last success.
    failures = models.PositiveSmallIntegerField(default=0)
    title = models.CharField(max_length=500, blank=True)
    doi = models.CharField(max_length=300, blank=True)
    # The fields of PageMetadata (pages/metadata/fields.py), by source.
    page_fields = models.JSONField(default=dict, blank=True)
    registry_fields = models.JSONField(default=dict, blank=True)
    registry = models.CharField(max_length=20, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    # The time of the last request for the page.
    requested_at = models.DateTimeField(null=True, blank=True)
    # The time of the last successful request.
    fetched_at = models.DateTimeField(null=True, blank=True)
    registry_requested_at = models.DateTimeField(null=True, blank=True)
    # When the page is due to be fetched again.
    expires_at = models.DateTimeField()
    etag = models.CharField(max_length=500, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name_plural = "metadata"
        indexes = [
            models.Index(fields=["expires_at"], name="metadata_by_expiry"),
            # The live stream polls for metadata that has just arrived.
            models.Index(
                Greatest("requested_at", "registry_requested_at"), name="metadata_by_request"
            ),
            models.Index(fields=["doi"], name="metadata_by_doi", condition=~Q(doi="")),
        ]

    def __str__(self) -> str:
        return f"metadata of page {self.pk}"


class Robots(models.Model):
    """A site's cached robots.txt: which of its pages programs may fetch."""

    origin = models.CharField(primary_key=True, max_length=300)
    rules = models.TextField(blank=True)
    fetched_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "robots"

    def __str__(self) -> str:
        return self.origin
