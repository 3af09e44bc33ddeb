"""Keyset pagination: pages stay stable while rows come and go, and all are equally fast."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Field, ForeignKey, Model
from rest_framework import exceptions
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
MAX_CURSOR_LENGTH = 100
INVALID_CURSOR = "This cursor is not valid; copy it from `next` or `previous` of a response."
INVALID_PAGE_SIZE = f"Give a whole number from 1 to {MAX_PAGE_SIZE}."
# The ids before and after all others, for pages of rows with UUIDs as ids.
FIRST_ID, LAST_ID = UUID(int=0), UUID(int=2**128 - 1)
SIZES = {str(size): size for size in range(1, MAX_PAGE_SIZE + 1)}


@dataclass(frozen=True, slots=True)
class Cursor:
    """The start of a page: after the row with this value in the ordering column, in a direction.

    `backwards` is the direction towards the first page.
    """

    position: str
    backwards: bool

    def encode(self) -> str:
        """Return the text that clients send as the `cursor` parameter."""
        text = ("<" if self.backwards else ">") + self.position
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """Return the cursor of a text from `encode`; raise ValueError for any other text."""
        if len(text) > MAX_CURSOR_LENGTH:
            raise ValueError("too long")
        padded = text + "=" * (-len(text) % 4)
        decoded = urlsafe_b64decode(padded.encode("ascii")).decode("ascii")
        if decoded[:1] not in ("<", ">"):
            raise ValueError("without a direction")
        return cls(decoded[1:], decoded[0] == "<")


class CursorPagination(BasePagination):
    """Paginates a view's rows by a unique column (ListAPIView: cursor_ordering, page_rows)."""

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the rows of the requested page, in the view's order."""
        ordering: str = view.cursor_ordering
        self.column = ordering.removeprefix("-")
        self.base_url = request.build_absolute_uri()
        self.size = page_size_of(request)
        self.cursor = cursor_of(request)
        backwards = self.cursor is not None and self.cursor.backwards
        descending = ordering.startswith("-") != backwards
        after = self.cursor and position_of(self.cursor, queryset.model, self.column)
        # One row more than the page has shows whether there is a next page.
        rows = list(view.page_rows(queryset, after, descending=descending, limit=self.size + 1))
        more = len(rows) > self.size
        self.page = rows[: self.size][::-1] if backwards else rows[: self.size]
        # A page read backwards has a next page: the one that its cursor came from.
        self.has_next = bool(self.page) and (backwards or more)
        self.has_previous = bool(self.page) and (more if backwards else self.cursor is not None)
        return self.page

    def get_paginated_response(self, data: Any) -> Response:
        """Return the response: the page's rows, and the URLs of the next and the previous page."""
        return Response(
            {
                "next": self.link(self.page[-1], backwards=False) if self.has_next else None,
                "previous": self.link(self.page[0], backwards=True) if self.has_previous else None,
                "results": data,
            }
        )

    def link(self, row: Any, *, backwards: bool) -> str:
        """Return the URL of the page that starts after this row."""
        value = row[self.column] if isinstance(row, Mapping) else getattr(row, self.column)
        return replace_query_param(self.base_url, "cursor", Cursor(str(value), backwards).encode())

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return the OpenAPI schema of a page."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """Return the OpenAPI parameters of a paginated list."""
        return [
            {
                "name": "cursor",
                "in": "query",
                "required": False,
                "description": "The start of the page, from `next` or `previous` of a response.",
                "schema": {"type": "string", "maxLength": MAX_CURSOR_LENGTH},
            },
            {
                "name": "page_size",
                "in": "query",
                "required": False,
                "description": f"The number of results on a page, {MAX_PAGE_SIZE} at most.",
                "schema": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_PAGE_SIZE,
                    "default": PAGE_SIZE,
                },
            },
        ]


def page_size_of(request: Request) -> int:
    """Return the requested page size; raise ValidationError for any but 1 to MAX_PAGE_SIZE."""
    text = request.query_params.get("page_size")
    if text is None:
        return PAGE_SIZE
    if text not in SIZES:
        raise exceptions.ValidationError({"page_size": INVALID_PAGE_SIZE})
    return SIZES[text]


def cursor_of(request: Request) -> Cursor | None:
    """Return the request's cursor, or None; raise ValidationError for an invalid one."""
    text = request.query_params.get("cursor")
    if text is None:
        return None
    try:
        return Cursor.decode(text)
    except (ValueError, binascii.Error):
        raise exceptions.ValidationError({"cursor": INVALID_CURSOR}) from None


def position_of(cursor: Cursor, model: type[Model], column: str) -> Any:
    """Return the cursor's position as a value of the column, or raise ValidationError."""
    field = field_of(model, column)
    try:
        value = field.to_python(cursor.position)
        field.run_validators(value)
    except ValidationError:
        raise exceptions.ValidationError({"cursor": INVALID_CURSOR}) from None
    return value


def field_of(model: type[Model], column: str) -> Field[Any, Any]:
    """Return the field that defines a column's values; a foreign key is followed to its target."""
    field: Any = model._meta.get_field(column)  # noqa: SLF001
    while isinstance(field, ForeignKey):
        field = field.target_field
    if not isinstance(field, Field):
        raise FieldDoesNotExist(f"{model.__name__}.{column} is not a column to order by.")
    return field
