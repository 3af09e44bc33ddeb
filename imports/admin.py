from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.staff.reading import LogsReading
from eventbook.operate import ReadOnlyAdmin
from imports import services
from imports.models import FeedSubscription, Import, ImportProblem, WebFeed


class Problems(admin.TabularInline[ImportProblem, Import]):
    """The first 200 problems of an import."""

    model = ImportProblem
    fields = readonly_fields = ("line", "code", "detail", "row")
    can_delete = False
    max_num = extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: only imports create problems."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportProblem]:
        """Return the first 200 problems of the import shown; there may be thousands."""
        problems = super().get_queryset(request)
        match = request.resolver_match
        found = problems.filter(origin_id=match.kwargs.get("object_id") if match else None)
        return problems.filter(pk__in=list(found.values_list("pk", flat=True)[:200]))


@admin.register(Import)
class ImportAdmin(LogsReading, ReadOnlyAdmin[Import]):
    """Show imports, and let staff end them."""

    list_display = (
        "__str__", "owner", "source_kind", "format", "status", "read", "added", "known", "merged",
        "failed", "created_at",
    )  # fmt: skip
    list_filter = ("status", "source_kind", "format", "created_at")
    list_select_related = ("owner",)
    search_fields = ("id__exact", "owner__username__exact")
    search_help_text = "An import's id or an owner's username, each in full."
    ordering = ("-id",)
    inlines = [Problems]
    actions = ["cancel"]

    @admin.action(description="End now, keeping the cards added so far", permissions=["cancel"])
    def cancel(self, request: HttpRequest, imports: QuerySet[Import]) -> None:
        """End imports, exactly as their owners could."""
        ended = sum(services.cancel_import(job) for job in imports)
        messages.success(request, f"{ended} imports ended.")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Return whether a user may end imports: the permission to change them decides."""
        return request.user.has_perm("imports.change_import")


@admin.register(WebFeed)
class WebFeedAdmin(LogsReading, ReadOnlyAdmin[WebFeed]):
    """Show web feeds: when each was fetched last, when it is fetched next, and its failures."""

    list_display = ("__str__", "refreshed_at", "next_refresh", "failures", "error")
    list_filter = ("refreshed_at",)
    search_fields = ("url__exact",)
    search_help_text = "A complete address."
    ordering = ("-id",)


@admin.register(FeedSubscription)
class FeedSubscriptionAdmin(LogsReading, ReadOnlyAdmin[FeedSubscription]):
    """Show subscriptions to web feeds."""

    list_display = ("__str__", "feed", "owner", "caught_up", "created_at")
    list_filter = ("created_at",)
    list_select_related = ("feed", "owner")
    search_fields = ("feed__url__exact", "owner__username__exact")
    search_help_text = "An address or a username, each in full."
    ordering = ("-id",)
