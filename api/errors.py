"""Convert validation errors to the API's list of errors by field."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from drf_standardized_errors.formatter import flatten_errors
from rest_framework.exceptions import ErrorDetail

# The frameworks' names for errors that belong to no single field.
WITHOUT_FIELD = ("non_field_errors", "__all__")


def details_of(error: ValidationError) -> Any:
    """Convert a service's ValidationError to the error details of REST framework."""
    if hasattr(error, "error_dict"):
        return {
            field: [detail for item in items for detail in details_of(item)]
            for field, items in error.error_dict.items()
        }
    return [
        ErrorDetail(message, code=item.code or "invalid")
        for item in error.error_list
        for message in item.messages
    ]


def field_errors(detail: Any) -> list[dict[str, str]]:
    """Return each error with the dotted path of its field, for example `cards.3.url`."""
    return [
        {"field": _path(error.attr), "detail": error.detail, "code": error.code}
        for error in flatten_errors(detail)
    ]


def _path(attr: str | None) -> str:
    names = (attr or "").split(".")
    return ".".join(name for name in names if name not in WITHOUT_FIELD)
