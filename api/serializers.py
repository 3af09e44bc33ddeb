"""Strict serializers: they refuse unknown fields and values of another type.

If a misspelt `visibility` were ignored, a card that should be private would be public.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from django.db.models import Model
from django.http import QueryDict
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail, ValidationError

MAX_REPORTED = 20  # the most unknown names in one error response
FIXED = "The server sets this; leave it out."
ONCE = "Give this once."
BOOLEAN, WHOLE, NUMBER = "Give true or false.", "Give a whole number.", "Give a number."
TEXT, ID = "Give a string, in quotes.", "Give an id, as 01890000-0000-7000-8000-000000000000."
IS_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
IS_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
# Python clients send True and False in forms.
IS_BOOLEAN = re.compile(r"[Tt]rue|[Ff]alse")
# For each kind of field: its JSON types, the pattern of its texts, and the error message. The REST
# framework alone would accept 1 for true, 1.0 for 1, and any number for a string.
SHAPES: tuple[tuple[type[Any], tuple[type[Any], ...], re.Pattern[str] | None, str], ...] = (
    (serializers.BooleanField, (bool,), IS_BOOLEAN, BOOLEAN),
    (serializers.IntegerField, (int,), IS_WHOLE, WHOLE),
    (serializers.FloatField, (int, float), None, NUMBER),
    (serializers.UUIDField, (str,), IS_ID, ID),
    (serializers.CharField, (str,), None, TEXT),
    (serializers.ChoiceField, (str,), None, TEXT),
    (serializers.DateTimeField, (str,), None, TEXT),
)

Field = serializers.Field[Any, Any, Any, Any]
Errors = dict[Any, Any]
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Shape:
    """The allowed form of a value: its JSON types, its pattern as text, and the error message."""

    types: tuple[type[Any], ...]
    pattern: re.Pattern[str] | None
    message: str
    is_list: bool = False

    def errors(self) -> list[ErrorDetail]:
        """Return the error details of a value that has another form."""
        return [ErrorDetail(self.message, code="invalid")]


class Strict:
    """A mixin by which a serializer refuses unknown fields and values of another type."""

    noun: ClassVar[str] = "field"  # for error messages: the kind of name that the client sends
    # Fields that a response has and a request cannot set, each with a message that says what to do.
    fixed: ClassVar[Mapping[str, str]] = {}
    # Accept numbers for strings, as CSL-JSON may have them.
    takes_numbers_as_texts: ClassVar[bool] = False
    # Other allowed names in the request, which other code reads.
    also_known: Collection[str] = ()

    @classmethod
    def checked(cls, data: Any, **options: Any) -> dict[str, Any]:
        """Return the validated values of a request's body; raise ValidationError."""
        serializer: Any = cls(data=data, **options)  # type: ignore[call-arg]
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = serializer.validated_data
        return values

    def to_internal_value(self, data: Any) -> Any:
        """Return the validated values of a request; raise ValidationError with all errors."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)  # type: ignore[misc]  # raises the error
        plain, errors = self._plain(data) if isinstance(data, QueryDict) else (data, {})
        is_form, shapes, unknown = plain is not data, self._shapes, []
        for name, value in plain.items():
            if name not in shapes:
                unknown.append(name)
            elif error := type_errors(shapes[name], value, is_form=is_form):
                errors[name] = error
        if unknown:
            errors |= dict(self._unknown(unknown))
        try:
            values = super().to_internal_value(plain)  # type: ignore[misc]
        except ValidationError as refused:
            raise ValidationError({**refused.detail, **errors}) from None  # type: ignore[dict-item]
        if errors:
            raise ValidationError(errors)
        return values

    @cached_property
    def _writable(self) -> dict[str, Field]:
        return {name: field for name, field in self.fields.items() if not field.read_only}  # type: ignore[attr-defined]

    @cached_property
    def _shapes(self) -> dict[str, Shape | None]:
        lenient = self.takes_numbers_as_texts
        return {name: shape_of(field, lenient) for name, field in self._writable.items()}

    def _plain(self, form: QueryDict) -> tuple[dict[str, Any], Errors]:
        """Return the values of a form or query string, and an error for each repeated name."""
        values: dict[str, Any] = {}
        errors: Errors = {}
        for name, texts in form.lists():
            if isinstance(self._writable.get(name), serializers.ListField):
                values[name] = texts
            else:
                values[name] = texts[-1]
                if len(texts) > 1:
                    errors[name[:100]] = [ErrorDetail(ONCE, code="repeated")]
        return values, errors

    def _unknown(self, unknown: list[str]) -> Iterator[tuple[str, list[ErrorDetail]]]:
        """Yield errors for names that the client cannot set, at most MAX_REPORTED."""
        fields: Mapping[str, Field] = self.fields  # type: ignore[attr-defined]
        for name in [name for name in unknown if name not in self.also_known][:MAX_REPORTED]:
            if name in fields or name in self.fixed:
                yield name, [ErrorDetail(self.fixed.get(name, FIXED), code="read_only")]
            else:
                message = unknown_message(self.noun, name, [*self._writable, *self.also_known])
                yield name[:100], [ErrorDetail(message, code="unknown")]


class Serializer(Strict, serializers.Serializer[Any]):
    """A strict serializer."""


class ModelSerializer(Strict, serializers.ModelSerializer[Row]):
    """A strict serializer of a model."""


def shape_of(field: Field, lenient: bool) -> Shape | None:
    """Return the shape of a field's values, or None if any is allowed.

    With `lenient`, a field for text accepts any value; the field itself then checks it.
    """
    if isinstance(field, serializers.ListField):
        child = shape_of(field.child, lenient)
        return child and replace(child, is_list=True)
    for kind, types, pattern, message in SHAPES:
        if isinstance(field, kind):
            free = lenient and isinstance(field, serializers.CharField)
            return None if free else Shape(types, pattern, message)
    return None


def type_errors(shape: Shape | None, value: Any, *, is_form: bool) -> Any:
    """Return the errors of a value that does not fit its shape, or None.

    For a list, the errors are by index. `is_form` says that the value is from a form, where numbers
    are texts. The field checks whether null is allowed.
    """
    if shape is None or value is None:
        return None
    if not shape.is_list:
        return None if fits_shape(shape, value, is_form) else shape.errors()
    if not isinstance(value, list):
        return None  # the field reports this error
    return {
        place: shape.errors()
        for place, each in enumerate(value)
        if not fits_shape(shape, each, is_form)
    }


def fits_shape(shape: Shape, value: Any, is_form: bool) -> bool:
    """Return whether a value fits a shape.

    Classes must be equal: with isinstance, true would pass as a number.
    """
    if value.__class__ is not str:
        return not is_form and value.__class__ in shape.types
    if not is_form and str not in shape.types:
        return False
    return shape.pattern is None or shape.pattern.fullmatch(value) is not None


def unknown_message(noun: str, name: str, known: Collection[str]) -> str:
    """Return the error message for an unknown name: a similar known name, or all known names."""
    short = name[:100]
    if near := get_close_matches(short, known, n=1):
        return f"There is no {noun} {short}. Did you mean {near[0]}?"
    there_are = f"There are: {', '.join(sorted(known))}." if known else f"This takes no {noun}."
    return f"There is no {noun} {short}. {there_are}"
