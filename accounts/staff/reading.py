"""The admin's log of reading: each time staff open a private object's page, it is recorded."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from accounts.models import User

# An action flag of LogEntry, beside Django's for additions, changes and deletions (1 to 3).
READ = 4
# Field types that may contain users' private text.
TEXTS = (models.CharField, models.TextField, models.JSONField, ArrayField)


class LogsReading:
    """A mixin for admins, before the admin class: record each view of a private object's page.

    Lists aren't recorded, because they show no private text. They can't be filtered by it either:
    `?text__startswith=` could find out a text letter by letter.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse to filter a list by a text field, unless the list offers that filter."""
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc]
        name = lookup.split("__", maxsplit=1)[0]
        try:
            field = self.opts.get_field(name)  # type: ignore[attr-defined]
        except FieldDoesNotExist:
            return allowed
        offered = [each if isinstance(each, str) else each[0] for each in self.list_filter]  # type: ignore[attr-defined]
        return allowed and (name in offered or not isinstance(field, TEXTS))

    def is_private(self, obj: Any) -> bool:
        """Return whether an object is private; by default, all are."""
        return True

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Show the page of an object, and record the reading of a private one."""
        if obj is not None and self.is_private(obj):
            log_reading(request, obj)
        response: HttpResponse = super().render_change_form(  # type: ignore[misc]
            request, context, add=add, change=change, form_url=form_url, obj=obj
        )
        return response


def log_reading(request: HttpRequest, obj: Model) -> None:
    """Record in the admin's log that a member of the staff read an object."""
    LogEntry.objects.create(
        user=cast(User, request.user),
        content_type=ContentType.objects.get_for_model(obj, for_concrete_model=False),
        object_id=str(obj.pk),
        object_repr=str(obj)[:200],
        action_flag=READ,
        change_message="Looked at.",
    )
