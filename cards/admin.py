"""The admin pages of cards and collections.

Every private object that staff open is logged (LogsReading).
"""

from __future__ import annotations

from typing import Any

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


class WithoutAdding:
    """Forbid adding rows in the admin: people add them through the API, or programs write them."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Return False."""
        return False

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Remove the rows one by one: a bulk delete would record no events."""
        for each in queryset:
            self.delete_model(request, each)  # type: ignore[attr-defined]


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
class CardAdmin(LogsReading, WithoutAdding, admin.ModelAdmin[Card]):
    """Let staff edit and remove cards. Services make each change, so that events are recorded."""

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

    def is_private(self, obj: Card) -> bool:
        """Return whether only the card's curator may read it."""
        return obj.visibility == Visibility.PRIVATE

    def save_model(self, request: HttpRequest, obj: Card, form: Any, change: bool) -> None:
        """Save the changed fields through the same service as the API."""
        services.update_card(
            card=obj, **{name: form.cleaned_data[name] for name in form.changed_data}
        )

    def delete_model(self, request: HttpRequest, obj: Card) -> None:
        """Remove a card through the same service as the API."""
        services.remove_card(card=obj)


@admin.register(Collection)
class CollectionAdmin(LogsReading, WithoutAdding, admin.ModelAdmin[Collection]):
    """Let staff edit and remove collections. Services make each change, and record its event."""

    list_display = ("__str__", "owner", "visibility", "created_at")
    list_filter = ("visibility", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id__exact", "owner__username__exact")
    search_help_text = "A collection's id or an owner's username, each in full."
    ordering = ("-id",)
    fields = ("id", "owner", "name", "description", "visibility", "created_at", "updated_at")
    readonly_fields = ("id", "owner", "created_at", "updated_at")

    def is_private(self, obj: Collection) -> bool:
        """Return whether only the collection's owner may read it."""
        return obj.visibility == Visibility.PRIVATE

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        """Save the changed fields through the same service as the API."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_collection(collection=obj, **changes)

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        """Remove a collection through the same service as the API."""
        services.remove_collection(collection=obj)


@admin.register(CollectionCard)
class PlaceAdmin(LogsReading, WithoutAdding, admin.ModelAdmin[CollectionCard]):
    """Let staff view the cards in collections, and remove cards from collections."""

    list_display = ("collection", "card", "added_by", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("collection__owner", "card", "added_by")
    search_fields = ("collection__id__exact", "card__id__exact", "added_by__username__exact")
    search_help_text = "The id of a collection or card, or a username, each in full."
    ordering = ("-id",)

    def has_change_permission(
        self, request: HttpRequest, obj: CollectionCard | None = None
    ) -> bool:
        """Return False: a card is either in a collection or not, so there is nothing to edit."""
        return False

    def delete_model(self, request: HttpRequest, obj: CollectionCard) -> None:
        """Remove the card from the collection in its owner's name."""
        services.remove_card_from_collection(
            collection=obj.collection, card=obj.card, removed_by=obj.collection.owner
        )
