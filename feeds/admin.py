from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.queries import user_named
from feeds.models import Timeline, TimelineEntryRow

if TYPE_CHECKING:
    EntryAdminBase = admin.ModelAdmin[TimelineEntryRow]
    TimelineAdminBase = admin.ModelAdmin[Timeline]
else:
    EntryAdminBase = TimelineAdminBase = admin.ModelAdmin


class ReadOnly:
    """What handlers write, nobody changes by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """This refuses: timelines come from events only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """This refuses: timelines come from events only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """This refuses: `rebuild_feeds` mends what is wrong."""
        return False


@admin.register(TimelineEntryRow)
class TimelineEntryAdmin(ReadOnly, EntryAdminBase):
    """The timeline of one person, found by exact username: the table may hold millions."""

    list_display = ["card", "owner", "author", "added_at"]
    list_filter = ["card__type"]
    search_fields = ["owner__username"]
    search_help_text = "The username of the owner, in full; nothing is listed without it."
    ordering = ["-card_id"]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    @admin.display(description="added at")
    def added_at(self, entry: TimelineEntryRow) -> Any:
        """This answers when the curator added the card."""
        return entry.card.created_at

    def get_queryset(self, request: HttpRequest) -> QuerySet[TimelineEntryRow]:
        """This joins what is shown; entries of what is gone are left out, as in the feed."""
        return super().get_queryset(request).select_related("owner", "card", "author")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """This narrows to one owner, whose entries the primary key finds."""
        owner = user_named(search_term.strip()).first()
        return queryset.filter(owner=owner) if owner else queryset.none(), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> TimelineEntryRow | None:
        """This finds a row by the parts of its key: the view's own id has no index."""
        owner_id, _, card_id = object_id.partition("-")
        try:
            rows = self.get_queryset(request).filter(owner_id=int(owner_id), card_id=UUID(card_id))
            return rows.first()
        except (ValueError, ValidationError):
            return None


@admin.register(Timeline)
class TimelineAdmin(ReadOnly, TimelineAdminBase):
    list_display = ["owner", "read_at", "evicted_at"]
    list_filter = [("evicted_at", admin.EmptyFieldListFilter), "read_at"]
    list_select_related = ["owner"]
    search_fields = ["owner__username__istartswith"]
    ordering = ["owner"]
    show_full_result_count = False
