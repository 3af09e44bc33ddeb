from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.staff.person_rows import PersonRowsAdmin
from accounts.staff.reading import LogsReading
from notifications.models import NotificationRow


@admin.register(NotificationRow)
class NotificationAdmin(LogsReading, PersonRowsAdmin[NotificationRow]):
    person_field = "recipient"
    key_field = "event_id"
    list_display = ["created_at", "recipient", "kind", "actor", "card", "collection", "read_at"]
    list_filter = ["kind", ("read_at", admin.EmptyFieldListFilter), "created_at"]
    search_fields = ["recipient__username"]
    search_help_text = "The username of the recipient, in full; nothing is listed without it."
    ordering = ["-event_id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[NotificationRow]:
        """Join the related rows shown, so that a deleted card shows as empty instead of failing."""
        rows = super().get_queryset(request)
        return rows.select_related("recipient", "actor", "card", "collection")
