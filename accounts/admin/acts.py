from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.models import LogEntry

from accounts.reading import READ
from events.admin import ReadOnlyAdmin


@admin.register(LogEntry)
class ActAdmin(ReadOnlyAdmin[LogEntry]):
    """What staff did in the admin, when, and to what, and what private things they looked at."""

    list_display = ("action_time", "user", "act", "content_type", "object_repr", "message")
    list_filter = ("action_flag", "action_time", "content_type")
    list_select_related = ("user", "content_type")
    search_fields = ("user__username__iexact", "object_id__exact")
    search_help_text = "A member of the staff, or the id of what was changed"
    ordering = ("-action_time",)

    @admin.display(description="act", ordering="action_flag")
    def act(self, entry: LogEntry) -> str:
        """Return the kind of act."""
        return "Reading" if entry.action_flag == READ else entry.get_action_flag_display()

    @admin.display(description="what")
    def message(self, entry: LogEntry) -> str:
        """Return which fields were changed, in words."""
        return entry.get_change_message()
