"""The admin pages of cards and collections.

Every private object that staff open is logged (LogsReading).
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.text import Truncator

from accounts.models import Visibility
from accounts.staff.reading import LogsReading
from cards import services
from cards.models import Card, Collection, CollectionCard
from cards.services import rules
from eventbook.operate import ReadOnlyAdmin

Content = TypeVar("Content", Card, Collection)


class ContentAdmin(LogsReading, admin.ModelAdmin[Content]):
    """Let staff edit and remove, but not add, people's cards or collections.

    Services make each change, so that events are recorded.
    """

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Return False: people add their own through the API."""
        return False

    def is_private(self, obj: Content) -> bool:
        """Return whether only the object's owner may read it."""
        return obj.visibility == Visibility.PRIVATE

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Content]) -> None:
        """Remove the objects one by one: a bulk delete would record no events."""
        for each in queryset:
            self.delete_model(request, each)


class CardForm(ModelForm[Card]):
    """The form with the card fields that staff can edit."""

    def clean(self) -> dict[str, Any]:
        """Check title and text by the services' rules, so that the form shows their errors."""
        content = {name: self.cleaned_data.get(name, "") for name in ("title", "text")}
        card = self.instance
        if errors := rules.errors_of_content(type=card.type, link=card.link, **content):
            raise ValidationError(dict(errors))
        return self.cleaned_data


@admin.register(Card)
class CardAdmin(ContentAdmin[Card]):
    """Let staff edit and remove cards."""

    form = CardForm
    list_display = ("short_title", "type", "visibility", "curator", "host", "created_at")
    list_filter = ("type", "visibility", "created_at")
    list_select_related = ("curator", "url")
    search_fields = ("id__exact", "curator__username__exact", "url__canonical__exact")
    search_help_text = "A card's id, a curator's username, or a canonical URL, each in full."
    ordering = ("-id",)
    fields = (
        "id",
        "curator",
        "type",
        "url",
        "link",
        "title",
        "text",
        "tags",
        "reference",
        "parent",
        "visibility",
        "created_at",
        "updated_at",
    )
    readonly_fields = tuple(name for name in fields if name not in ("title", "text", "visibility"))

    @admin.display(description="card")
    def short_title(self, card: Card) -> str:
        """Return the card's title or link, cut to 60 characters."""
        return Truncator(str(card)).chars(60)

    @admin.display(description="host")
    def host(self, card: Card) -> str:
        """Return the host of the card's page; a dash for a private card or one without a page."""
        return card.url.host if card.url and not self.is_private(card) else "–"

    def save_model(self, request: HttpRequest, obj: Card, form: Any, change: bool) -> None:
        """Save the changed fields through the same service as the API."""
        services.update_card(
            card=obj, **{name: form.cleaned_data[name] for name in form.changed_data}
        )

    def delete_model(self, request: HttpRequest, obj: Card) -> None:
        """Remove a card through the same service as the API."""
        services.remove_card(card=obj)


@admin.register(Collection)
class CollectionAdmin(ContentAdmin[Collection]):
    """Let staff edit and remove collections."""

    list_display = ("__str__", "owner", "visibility", "created_at")
    list_filter = ("visibility", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id__exact", "owner__username__exact")
    search_help_text = "A collection's id or an owner's username, each in full."
    ordering = ("-id",)
    fields = ("id", "owner", "name", "description", "visibility", "created_at", "updated_at")
    readonly_fields = ("id", "owner", "created_at", "updated_at")

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        """Save the changed fields through the same service as the API."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_collection(collection=obj, **changes)

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        """Remove a collection through the same service as the API."""
        services.remove_collection(collection=obj)


@admin.register(CollectionCard)
class PlaceAdmin(LogsReading, ReadOnlyAdmin[CollectionCard]):
    """Let staff view the cards in collections, and remove cards from collections."""

    list_display = ("collection", "card", "added_by", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("collection__owner", "card", "added_by")
    search_fields = ("collection__id__exact", "card__id__exact", "added_by__username__exact")
    search_help_text = "The id of a collection or card, or a username, each in full."
    ordering = ("-id",)
    can_delete = True

    def delete_model(self, request: HttpRequest, obj: CollectionCard) -> None:
        """Remove the card from the collection in its owner's name."""
        services.remove_card_from_collection(
            collection=obj.collection, card=obj.card, removed_by=obj.collection.owner
        )
