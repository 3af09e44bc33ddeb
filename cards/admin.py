from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.text import Truncator

from accounts.reading import NotesReading
from cards import services
from cards.imports import admin as imports
from cards.metadata import refreshing
from cards.models import Card, Collection, CollectionCard, Metadata, Robots, Url, Visibility
from cards.services import rules

__all__ = ["imports"]  # whose admin is found from here


class NoAdding:
    """Cards and collections are made by people, through the API."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Refuse to add."""
        return False


class CardForm(ModelForm[Card]):
    """The fields of a card that staff can change."""

    def clean(self) -> dict[str, Any]:
        """Object to what the services would, where staff can read it."""
        content = {name: self.cleaned_data.get(name, "") for name in ("title", "text")}
        card = self.instance
        if errors := rules.errors_of_content(type=card.type, link=card.link, **content):
            raise ValidationError(dict(errors))
        return self.cleaned_data


@admin.register(Card)
class CardAdmin(NotesReading, NoAdding, admin.ModelAdmin[Card]):
    """Staff can change what a card shows, or remove it; handlers learn of it as always."""

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
        """Return the card's title or link, short enough for a row."""
        return Truncator(str(card)).chars(60)

    @admin.display(description="host")
    def host(self, card: Card) -> str:
        """Return where the card's page is."""
        return card.url.host if card.url and not self.is_private(card) else "–"

    def is_private(self, obj: Card) -> bool:
        """Return whether only its curator may read it."""
        return obj.visibility == Visibility.PRIVATE

    def save_model(self, request: HttpRequest, obj: Card, form: Any, change: bool) -> None:
        """Change a card the way its curator would."""
        services.update_card(
            card=obj, **{name: form.cleaned_data[name] for name in form.changed_data}
        )

    def delete_model(self, request: HttpRequest, obj: Card) -> None:
        """Remove a card the way its curator would."""
        services.remove_card(card=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        """Remove each card the way its curator would."""
        for card in queryset:
            services.remove_card(card=card)


@admin.register(Collection)
class CollectionAdmin(NotesReading, NoAdding, admin.ModelAdmin[Collection]):
    """Staff can change what a collection shows, or remove it; handlers learn of it as always."""

    list_display = ("__str__", "owner", "visibility", "created_at")
    list_filter = ("visibility", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id__exact", "owner__username__exact")
    search_help_text = "A collection's id or an owner's username, each in full."
    ordering = ("-id",)
    fields = ("id", "owner", "name", "description", "visibility", "created_at", "updated_at")
    readonly_fields = ("id", "owner", "created_at", "updated_at")

    def is_private(self, obj: Collection) -> bool:
        """Return whether only its owner may read it."""
        return obj.visibility == Visibility.PRIVATE

    def save_model(self, request: HttpRequest, obj: Collection, form: Any, change: bool) -> None:
        """Change a collection the way its owner would."""
        changes = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_collection(collection=obj, **changes)

    def delete_model(self, request: HttpRequest, obj: Collection) -> None:
        """Remove a collection the way its owner would."""
        services.remove_collection(collection=obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Collection]) -> None:
        """Remove each collection the way its owner would."""
        for collection in queryset:
            services.remove_collection(collection=collection)


@admin.register(CollectionCard)
class PlaceAdmin(NotesReading, NoAdding, admin.ModelAdmin[CollectionCard]):
    """Places can be looked at, and cards taken out of them."""

    list_display = ("collection", "card", "added_by", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("collection", "card", "added_by")
    search_fields = ("collection__id__exact", "card__id__exact", "added_by__username__exact")
    search_help_text = "The id of a collection or card, or a username, each in full."
    ordering = ("-id",)

    def has_change_permission(
        self, request: HttpRequest, obj: CollectionCard | None = None
    ) -> bool:
        """Refuse to change: a card is in a collection or not."""
        return False

    def delete_model(self, request: HttpRequest, obj: CollectionCard) -> None:
        """Take a card out the way the owner would."""
        services.remove_card_from_collection(
            collection=obj.collection, card=obj.card, removed_by=obj.collection.owner
        )

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CollectionCard]) -> None:
        """Take each card out the way the owner would."""
        for place in queryset.select_related("collection__owner", "card"):
            self.delete_model(request, place)


class LookedAtOnly(NoAdding):
    """What programs write can be looked at only."""

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Refuse to change."""
        return False

    def has_delete_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Refuse to delete."""
        return False


class PagesOfPeople(NotesReading, LookedAtOnly):
    """Pages are private while nobody has a public card about them."""

    page = "pk"  # the field that has the page's key

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Add whether everybody may know of the page."""
        public = Card.objects.filter(url_id=OuterRef(self.page), visibility=Visibility.PUBLIC)
        found: QuerySet[Any] = super().get_queryset(request).annotate(is_public=Exists(public))  # type: ignore[misc]
        return found

    def is_private(self, obj: Any) -> bool:
        """Return whether all who saved the page keep that to themselves."""
        return not obj.is_public


@admin.register(Url)
class UrlAdmin(PagesOfPeople, admin.ModelAdmin[Url]):
    """Pages hold together what was saved about them, and can be asked for again."""

    list_display = ("address", "created_at")
    search_fields = ("canonical__exact", "host__exact")
    search_help_text = "A host or a canonical URL, each in full."
    ordering = ("-id",)
    actions = ("fetch_again",)

    @admin.display(description="page")
    def address(self, page: Url) -> str:
        """Return the page's address, if everybody may know it."""
        return f"private page {page.pk}" if self.is_private(page) else page.canonical

    @admin.action(description="Fetch again")
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[Url]) -> None:
        """Let the pages be asked for again."""
        count = refreshing.ask_again(queryset)
        self.message_user(request, f"{count} pages will be fetched again.")


@admin.register(Metadata)
class MetadataAdmin(PagesOfPeople, admin.ModelAdmin[Metadata]):
    """What is known of pages, and why nothing is; they can be asked for again."""

    page = "url_id"
    list_display = ("short_title", "host", "status", "error", "fetched_at", "expires_at")
    list_filter = ("status", "error_code", "registry", "content_type")
    list_select_related = ("url",)
    search_fields = ("url__canonical__exact", "url__host__exact", "doi__exact")
    search_help_text = "A host, a canonical URL or a DOI, each in full."
    ordering = ("-url_id",)
    actions = ("fetch_again",)

    @admin.display(description="page")
    def short_title(self, metadata: Metadata) -> str:
        """Return the page's title or address, short enough for a row."""
        if self.is_private(metadata):
            return f"private page {metadata.pk}"
        return Truncator(metadata.title or metadata.url.canonical).chars(60)

    @admin.display(description="host")
    def host(self, metadata: Metadata) -> str:
        """Return where the page is."""
        return "–" if self.is_private(metadata) else metadata.url.host

    @admin.action(description="Fetch again")
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[Metadata]) -> None:
        """Let the pages be asked for again."""
        count = refreshing.ask_again(metadata.url for metadata in queryset)
        self.message_user(request, f"{count} pages will be fetched again.")


@admin.register(Robots)
class RobotsAdmin(NoAdding, admin.ModelAdmin[Robots]):
    """What sites let machines fetch; what is deleted here is asked for anew."""

    list_display = ("origin", "fetched_at")
    search_fields = ("origin__exact",)
    search_help_text = "A site, as https://example.org."

    def has_change_permission(self, request: HttpRequest, *_: Any) -> bool:
        """Refuse to change: sites say themselves what they allow."""
        return False
