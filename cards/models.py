"""Cards, the web pages they are about, and collections.

A user's library is all cards of which the user is the curator. All users' cards about one web
page share its row (Url) and its metadata.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import Visibility
from cards import limits
from eventbook.database import new_id
from pages.models import Url


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
    link = models.TextField(max_length=limits.LINK_LENGTH, blank=True)
    title = models.CharField(max_length=limits.TITLE_LENGTH, blank=True)
    text = models.TextField(max_length=limits.TEXT_LENGTH, blank=True)
    # The database default is for the previous release, which inserts cards without tags.
    tags = ArrayField(
        models.TextField(max_length=limits.TAG_LENGTH), default=list, db_default=[], blank=True
    )
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
    name = models.CharField(max_length=limits.COLLECTION_NAME_LENGTH)
    description = models.TextField(max_length=limits.COLLECTION_DESCRIPTION_LENGTH, blank=True)
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
