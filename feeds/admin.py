from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.staff.person_rows import PersonRowsAdmin
from eventbook.operate import ReadOnlyAdmin
from feeds.models import MergedCurator, Timeline, TimelineEntryRow


@admin.register(TimelineEntryRow)
class TimelineEntryAdmin(PersonRowsAdmin[TimelineEntryRow]):
    person_field = "owner"
    key_field = "card_id"
    list_display = ["card", "owner", "author", "added_at"]
    list_filter = ["card__type"]
    search_fields = ["owner__username"]
    search_help_text = "The username of the owner, in full; nothing is listed without it."
    ordering = ["-card_id"]

    @admin.display(description="added at")
    def added_at(self, entry: TimelineEntryRow) -> Any:
        """Return when the card was added."""
        return entry.card.created_at

    def get_queryset(self, request: HttpRequest) -> QuerySet[TimelineEntryRow]:
        """Join the related rows shown; entries whose card or users are deleted are left out."""
        return super().get_queryset(request).select_related("owner", "card", "author")


@admin.register(Timeline)
class TimelineAdmin(ReadOnlyAdmin[Timeline]):
    list_display = ["owner", "read_at", "evicted_at"]
    list_filter = [("evicted_at", admin.EmptyFieldListFilter), "read_at"]
    list_select_related = ["owner"]
    search_fields = ["owner__username__istartswith"]
    ordering = ["owner"]


@admin.register(MergedCurator)
class MergedCuratorAdmin(ReadOnlyAdmin[MergedCurator]):
    list_display = ["curator", "since"]
    list_select_related = ["curator"]
    search_fields = ["curator__username__istartswith"]
    ordering = ["-since", "curator"]
