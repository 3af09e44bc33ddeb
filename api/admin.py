"""The admin page of stored responses."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest

from api.models import IdempotentRequest
from eventbook.operate import ReadOnlyAdmin


@admin.register(IdempotentRequest)
class IdempotentRequestAdmin(ReadOnlyAdmin[IdempotentRequest]):
    """Requests with an Idempotency-Key, without their responses, which are private."""

    list_display = ("key", "status", "created_at")
    exclude = ("answer", "body_digest")
    ordering = ("-created_at",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse to filter by a field that is not shown."""
        return not lookup.startswith(self.exclude) and super().lookup_allowed(
            lookup, value, request
        )
