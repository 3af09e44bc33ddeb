"""What staff read in the admin of people's private things leaves a trace there."""

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

# Beside Django's flags of additions, changes and deletions.
READ = 4


# Fields whose texts are people's own.
TEXTS = (models.CharField, models.TextField, models.JSONField, ArrayField)


class NotesReading:
    """An admin whose pages of private objects are noted: who looked at which, and when.

    Mix it in before the admin. Lists show no private text, so that no list needs to be noted; they
    find none either, or `?text__startswith=` would read it letter by letter.
    """

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuse to filter a list by a text that the list offers no filter for."""
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc]
        name = lookup.split("__", maxsplit=1)[0]
        try:
            field = self.opts.get_field(name)  # type: ignore[attr-defined]
        except FieldDoesNotExist:
            return allowed
        offered = [each if isinstance(each, str) else each[0] for each in self.list_filter]  # type: ignore[attr-defined]
        return allowed and (name in offered or not isinstance(field, TEXTS))

    def is_private(self, obj: Any) -> bool:
        """Return whether an object is somebody's own; most are."""
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
        """Note that the page of an object is shown."""
        if obj is not None and self.is_private(obj):
            note_reading(request, obj)
        response: HttpResponse = super().render_change_form(  # type: ignore[misc]
            request, context, add=add, change=change, form_url=form_url, obj=obj
        )
        return response


def note_reading(request: HttpRequest, obj: Model) -> None:
    """Write down that a member of the staff looked at an object."""
    LogEntry.objects.create(
        user=cast(User, request.user),
        content_type=ContentType.objects.get_for_model(obj, for_concrete_model=False),
        object_id=str(obj.pk),
        object_repr=str(obj)[:200],
        action_flag=READ,
        change_message="Looked at.",
    )
