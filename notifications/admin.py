from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.queries import user_named
from notifications.models import NotificationRow

if TYPE_CHECKING:
    NotificationAdminBase = admin.ModelAdmin[NotificationRow]
else:
    NotificationAdminBase = admin.ModelAdmin


@admin.register(NotificationRow)
class NotificationAdmin(NotificationAdminBase):
    """The notifications of one person, found by exact username: the table may hold millions."""

    list_display = ["created_at", "recipient", "kind", "actor", "card", "collection", "read_at"]
    list_filter = ["kind", ("read_at", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["recipient__username"]
    search_help_text = "The username of the recipient, in full; nothing is listed without it."
    ordering = ["-event_id"]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[NotificationRow]:
        """This joins what is shown; a card that is gone shows as none instead of failing."""
        rows = super().get_queryset(request)
        return rows.select_related("recipient", "actor", "card", "collection")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """This narrows to one recipient, whose rows the primary key finds."""
        recipient = user_named(search_term.strip()).first()
        return queryset.filter(recipient=recipient) if recipient else queryset.none(), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> NotificationRow | None:
        """This finds a row by the parts of its key: the view's own id has no index."""
        recipient_id, _, event_id = object_id.partition("-")
        try:
            rows = self.get_queryset(request).filter(
                recipient_id=int(recipient_id), event_id=UUID(event_id)
            )
            return rows.first()
        except (ValueError, ValidationError):
            return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """This refuses: notifications come from events only."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """This refuses: notifications come from events only."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """This refuses: notifications come from events only."""
        return False
