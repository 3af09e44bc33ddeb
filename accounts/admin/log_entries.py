from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.models import LogEntry

from accounts.staff.reading import READ
from eventbook.operate import ReadOnlyAdmin


@admin.register(LogEntry)
class LogEntryAdmin(ReadOnlyAdmin[LogEntry]):
    """The admin's log: what staff changed, and which private objects they read."""

    list_display = ("action_time", "user", "act", "content_type", "object_repr", "message")
    list_filter = ("action_flag", "action_time", "content_type")
    list_select_related = ("user", "content_type")
    search_fields = ("user__username__iexact", "object_id__exact")
    search_help_text = "A username of staff, or the id of an object"
    ordering = ("-action_time",)

    @admin.display(description="act", ordering="action_flag")
    def act(self, entry: LogEntry) -> str:
        """Return the kind of action."""
        return "Reading" if entry.action_flag == READ else entry.get_action_flag_display()

    @admin.display(description="what")
    def message(self, entry: LogEntry) -> str:
        """Return which fields were changed, or that the object was read."""
        return entry.get_change_message()
