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
    """One page on the web, however it is spelt; all that was saved about it hangs together here."""

    canonical = models.TextField(max_length=2048)
    host = models.TextField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)
    # Since when somebody has said in public that they saved it; null while all keep it private.
    public_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        # Named here and not on the fields, which would get an index for LIKE each beside these.
        constraints = [
            # Two rows for a page would tear apart what was saved about it.
            models.UniqueConstraint(fields=["canonical"], name="one_url_per_page"),
        ]
        indexes = [models.Index(fields=["host"], name="url_by_host")]

    def __str__(self) -> str:
        # Without its address: all who saved it may keep that to themselves.
        return f"page {self.pk}"

    @property
    def known(self) -> Metadata | None:
        """Return what is known of the page, if anything; a query, unless it was read along."""
        # What isn't there is an AttributeError too.
        return getattr(self, "metadata", None)

    def read_along(self, metadata: Metadata | None) -> None:
        """Set what is known of the page, so that nobody asks the database for it."""
        field: Any = self._meta.get_field("metadata")
        field.set_cached_value(self, metadata)


class Metadata(models.Model):
    """What is known of a page: from itself, and from the registry that knows the work on it.

    A page without a row was not asked for yet.
    """

    class Status(models.TextChoices):
        PENDING = "pending", "To be asked for"
        FETCHED = "fetched", "Fetched"
        FAILED = "failed", "Failed"

    url = models.OneToOneField(Url, models.CASCADE, primary_key=True, related_name="metadata")
    status = models.CharField(max_length=7, choices=Status, default=Status.PENDING)
    # Why it failed the last time: a code, and a sentence for readers.
    error_code = models.CharField(max_length=20, blank=True)
    error = models.CharField(max_length=300, blank=True)
    # Failures that may pass, one after another.
    failures = models.PositiveSmallIntegerField(default=0)
    title = models.CharField(max_length=500, blank=True)
    doi = models.CharField(max_length=300, blank=True)
    # The other fields (cards/metadata/extraction.py), as the page has them and as a registry does.
    page = models.JSONField(default=dict, blank=True)
    registered = models.JSONField(default=dict, blank=True)
    registry = models.CharField(max_length=20, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    # When the page was asked for the last time, and when it last answered.
    asked_at = models.DateTimeField(null=True, blank=True)
    fetched_at = models.DateTimeField(null=True, blank=True)
    registered_at = models.DateTimeField(null=True, blank=True)
    # From then on it is asked for again.
    expires_at = models.DateTimeField()
    etag = models.CharField(max_length=500, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name_plural = "metadata"
        indexes = [
            models.Index(fields=["expires_at"], name="metadata_by_expiry"),
            # The live stream looks for what has just come.
            models.Index(Greatest("asked_at", "registered_at"), name="metadata_by_asking"),
            models.Index(fields=["doi"], name="metadata_by_doi", condition=~Q(doi="")),
        ]

    def __str__(self) -> str:
        return f"metadata of page {self.pk}"


class Robots(models.Model):
    """What a site lets machines fetch: its robots.txt."""

    origin = models.CharField(primary_key=True, max_length=300)
    rules = models.TextField(blank=True)
    fetched_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "robots"

    def __str__(self) -> str:
        return self.origin


class Card(models.Model):
    """Something a curator keeps: a link, a note of one's own, or a bibliographic reference."""

    class Type(models.TextChoices):
        URL = "URL", "URL"
        NOTE = "NOTE", "Note"
        REFERENCE = "REFERENCE", "Reference"

    # UUIDv7: the key is also the order of adding, for feeds and cursors.
    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # No index of its own: `card_by_curator` begins with it.
    curator = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="cards", db_index=False
    )
    type = models.CharField(max_length=9, choices=Type)
    url = models.ForeignKey(Url, models.PROTECT, null=True, blank=True, related_name="cards")
    # Since when it has been about that page; null: since it was added.
    page_since = models.DateTimeField(null=True, blank=True)
    # The address as the curator gave it; `url` is its identity.
    link = models.TextField(max_length=2048, blank=True)
    title = models.CharField(max_length=500, blank=True)
    text = models.TextField(max_length=20_000, blank=True)
    # With a default of the table: the release before this one inserts cards without it.
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
            # Adding a page again, even at the same moment, must find the first card.
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
        # It stands in lists, logs and questions of the admin.
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
    """A card's place in a collection; its id gives the order of adding."""

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
            # A card stands in a collection once, whoever adds it and however often.
            models.UniqueConstraint(fields=["collection", "card"], name="one_place_per_card"),
        ]
        indexes = [models.Index(fields=["collection", "-id"], name="place_by_collection")]

    def __str__(self) -> str:
        return f"{self.card_id} in {self.collection_id}"


# Django finds the models of an app here.
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
