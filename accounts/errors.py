"""What is wrong with what a client sent, field by field."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from drf_standardized_errors.formatter import flatten_errors
from rest_framework.exceptions import ErrorDetail

# Under these names the frameworks keep the errors that are of no one field.
WITHOUT_FIELD = ("non_field_errors", "__all__")


def details_of(error: ValidationError) -> Any:
    """Return what a service objected to, in the terms of the API framework."""
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
    """Return each error with the dotted path of its field, such as `cards.3.url`."""
    return [
        {"field": _path(error.attr), "detail": error.detail, "code": error.code}
        for error in flatten_errors(detail)
    ]


def _path(attr: str | None) -> str:
    names = (attr or "").split(".")
    return ".".join(name for name in names if name not in WITHOUT_FIELD)
