"""Cards, the web pages they are about, and collections.

A user's library is all cards of which the user is the curator. All users' cards about one web
page share its row (Url) and its metadata.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Greatest

from accounts.models import Visibility
from events.ids import new_id


class Url(models.Model):
    """One web page. Cards about the same page share this row, however they spell its address."""

    canonical = models.TextField(max_length=2048)
    host = models.TextField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)
    # When the page first had a public card; null while all cards about it have been private.
    public_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        # Declared here: on a text field, Django would add a second index for LIKE.
        constraints = [
            # With two rows for one page, its cards would not find each other.
            models.UniqueConstraint(fields=["canonical"], name="one_url_per_page"),
        ]
        indexes = [models.Index(fields=["host"], name="url_by_host")]

    def __str__(self) -> str:
        # The address is left out: all cards about the page may be private.
        return f"page {self.pk}"

    @property
    def known(self) -> Metadata | None:
        """Return the page's metadata, or None; run a query unless it is cached."""
        # The error for a missing related row is an AttributeError, too.
        return getattr(self, "metadata", None)

    def read_along(self, metadata: Metadata | None) -> None:
        """Cache the page's metadata, or its absence, so that `known` runs no query."""
        field: Any = self._meta.get_field("metadata")
        field.set_cached_value(self, metadata)


class Metadata(models.Model):
    """A page's metadata: from the page itself, and from a registry that knows the work on it.

    A page without this row has not been fetched yet. A registry is a database of works, for example
    Crossref (cards/metadata/registries.py).
    """

    class Status(models.TextChoices):
        PENDING = "pending", "To be asked for"
        FETCHED = "fetched", "Fetched"
        FAILED = "failed", "Failed"

    url = models.OneToOneField(Url, models.CASCADE, primary_key=True, related_name="metadata")
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    # Why the last fetch failed: a code, and a sentence for people.
    error_code = models.CharField(max_length=20, blank=True)
    error = models.CharField(max_length=300, blank=True)
    # The number of failed fetches since the last success.
    failures = models.PositiveSmallIntegerField(default=0)
    title = models.CharField(max_length=500, blank=True)
    doi = models.CharField(max_length=300, blank=True)
    # All fields (cards/metadata/extraction.py): `page` from the page, `registered` from a registry.
    page = models.JSONField(default=dict, blank=True)
    registered = models.JSONField(default=dict, blank=True)
    registry = models.CharField(max_length=20, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    # When the page was last requested, and when it last responded with success.
    asked_at = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    registered_at = models.DateTimeField(null=True, blank=True)
    # When the page is due to be fetched again.
    expires_at = models.DateTimeField()
    etag = models.CharField(max_length=500, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name_plural = "metadata"
        indexes = [
            models.Index(fields=["expires_at"], name="metadata_by_expiry"),
            # The live stream polls for metadata that has just arrived.
            models.Index(Greatest("asked_at", "registered_at"), name="metadata_by_asking"),
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


class Card(models.Model):
    """An item that a user, its curator, keeps: a link, a note, or a bibliographic reference."""

    class Type(models.TextChoices):
        URL = "URL", "URL"
        NOTE = "NOTE", "Note"
        REFERENCE = "REFERENCE", "Reference"

    # UUIDv7: ids sort by the time of adding, which feeds and cursors rely on.
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: `card_by_curator` begins with it.
    curator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="cards", db_index=False
    )
    type = models.CharField(max_length=9, choices=Type)
    url = models.ForeignKey(Url, models.PROTECT, null=True, blank=True, related_name="cards")
    # Since when the card has been about this page; null: since the card was added.
    page_since = models.DateTimeField(null=True, blank=True)
    # The address as the curator typed it; `url` is the page there.
    link = models.TextField(max_length=2048, blank=True)
    title = models.CharField(max_length=500, blank=True)
    text = models.TextField(max_length=20_000, blank=True)
    # The database default is for the previous release, which inserts cards without tags.
    tags = ArrayField(models.TextField(max_length=100), default=list, db_default=[], blank=True)
    # CSL-JSON fields of a reference (author, issued, container-title, DOI, ...).
    reference = models.JSONField(default=dict, blank=True)
    parent = models.ForeignKey(
        "self", models.SET_NULL, null=True, blank=True, related_name="children", db_index=False
    )
    visibility = models.CharField(max_length=7, choices=Visibility, default=Visibility.PUBLIC)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            # Without it, two requests at the same moment could save a page twice.
            models.UniqueConstraint(fields=["curator", "url"], name="one_card_per_curator_and_url"),
            models.CheckConstraint(
                condition=(Q(type="URL") & Q(url__isnull=False))
                | (Q(type="NOTE") & Q(url__isnull=True))
                | Q(type="REFERENCE"),
                name="url_fits_card_type",
            ),
            models.CheckConstraint(
                condition=~Q(parent=models.F("id")), name="card_is_not_its_own_parent"
            ),
        ]
        indexes = [
            models.Index(fields=["curator", "-id"], name="card_by_curator"),
            models.Index(fields=["-id"], name="card_public", condition=Q(visibility="PUBLIC")),
            # Few cards have a parent; the others need no entry.
            models.Index(
                fields=["parent"], name="card_by_parent", condition=Q(parent__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        # Lists, logs and confirmation pages of the admin show this.
        private = self.visibility == Visibility.PRIVATE
        return f"private card {self.id}" if private else self.title or self.link or str(self.id)


class Collection(models.Model):
    """A named set of cards with an owner."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: `collection_by_owner` begins with it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="collections", db_index=False
    )
    name = models.CharField(max_length=200)
    description = models.TextField(max_length=2000, blank=True)
    visibility = models.CharField(max_length=7, choices=Visibility, default=Visibility.PUBLIC)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [models.Index(fields=["owner", "-id"], name="collection_by_owner")]

    def __str__(self) -> str:
        private = self.visibility == Visibility.PRIVATE
        return f"private collection {self.id}" if private else self.name


class CollectionCard(models.Model):
    """A card's membership in a collection, its place; ids sort by the time of adding."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: `one_place_per_card` begins with it.
    collection = models.ForeignKey(
        Collection, models.CASCADE, related_name="places", db_index=False
    )
    card = models.ForeignKey(Card, models.CASCADE, related_name="places")
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Without it, adding a card twice would list it twice.
            models.UniqueConstraint(fields=["collection", "card"], name="one_place_per_card"),
        ]
        indexes = [models.Index(fields=["collection", "-id"], name="place_by_collection")]

    def __str__(self) -> str:
        return f"{self.card_id} in {self.collection_id}"


# Imported because Django finds an app's models only in this module.
from cards.imports.models import (  # noqa: E402
    FeedSubscription,
    Import,
    ImportBatch,
    ImportedItem,
    ImportFile,
    ImportMerge,
    ImportProblem,
    ImportUsage,
    WebFeed,
)

__all__ = [
    "Card",
    "Collection",
    "CollectionCard",
    "FeedSubscription",
    "Import",
    "ImportBatch",
    "ImportFile",
    "ImportMerge",
    "ImportProblem",
    "ImportUsage",
    "ImportedItem",
    "Url",
    "Visibility",
    "WebFeed",
]
