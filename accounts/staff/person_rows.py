"""An admin list for large tables whose rows belong to one person each."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.queries import user_named
from eventbook.operate import ReadOnlyAdmin

Row = TypeVar("Row", bound=Model)


class PersonRowsAdmin(ReadOnlyAdmin[Row]):
    """Lists the rows of one person, found by exact username: the table may have millions of rows.

    The model is a database view over a table with the key (`person_field`, `key_field`); the view's
    id joins the two as "PERSON-KEY".
    """

    person_field: str
    key_field: str
    show_facets = admin.ShowFacets.NEVER

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Return the rows of the person with this username; the primary key's index finds them."""
        person = user_named(search_term.strip()).first()
        found = queryset.filter(**{self.person_field: person}) if person else queryset.none()
        return found, False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Row | None:
        """Return a row by the parts of its key, because the view's id has no index."""
        person_id, _, key = object_id.partition("-")
        try:
            parts = {f"{self.person_field}_id": int(person_id), self.key_field: UUID(key)}
            return self.get_queryset(request).filter(**parts).first()
        except (ValueError, ValidationError):
            return None
