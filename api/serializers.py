"""The serializers of the API: whatever a client sends that is not known is refused, by its name.

A misspelt `visibility` that was passed over would publish what its author wants to keep private.
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

REPORTED = 20  # names that one response says are not known
FIXED = "The server sets this; leave it out."
ONCE = "Give this once."
BOOLEAN, WHOLE, NUMBER = "Give true or false.", "Give a whole number.", "Give a number."
TEXT, ID = "Give a text, in quotes.", "Give an id, as 01890000-0000-7000-8000-000000000000."
IS_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
IS_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)
# Python writes a capital in a form.
IS_BOOLEAN = re.compile(r"[Tt]rue|[Ff]alse")
# The shapes of values, by field. The framework takes 1 for true, 1.0 for 1, and any number for a
# text.
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
    """What a value is in JSON, how it is written in a form, and what to say otherwise."""

    types: tuple[type[Any], ...]
    pattern: re.Pattern[str] | None
    message: str
    is_list: bool = False


class Strict:
    """What makes a serializer refuse fields that it does not have, and values of another type."""

    noun: ClassVar[str] = "field"
    # Fields that a response shows and a request cannot set, each with what to do instead.
    fixed: ClassVar[Mapping[str, str]] = {}
    # CSL-JSON, for one, has numbers where it could have texts.
    takes_numbers_as_texts: ClassVar[bool] = False
    # Names in the same request that somebody else reads.
    others: Collection[str] = ()

    def to_internal_value(self, data: Any) -> Any:
        """Return the values of a request; raise ValidationError for all that is wrong with it."""
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)  # type: ignore[misc]  # which says so
        given, errors = self._plain(data) if isinstance(data, QueryDict) else (data, {})
        is_form, shapes, strange = given is not data, self._shapes, []
        for name, value in given.items():
            if name not in shapes:
                strange.append(name)
            elif error := wrong(shapes[name], value, is_form=is_form):
                errors[name] = error
        if strange:
            errors |= dict(self._unknown(strange))
        try:
            values = super().to_internal_value(given)  # type: ignore[misc]
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
        """Return the values of a form or an address, and an error for what came twice."""
        values: dict[str, Any] = {}
        errors: Errors = {}
        for name, given in form.lists():
            if isinstance(self._writable.get(name), serializers.ListField):
                values[name] = given
            else:
                values[name] = given[-1]
                if len(given) > 1:
                    errors[name[:100]] = [ErrorDetail(ONCE, code="repeated")]
        return values, errors

    def _unknown(self, strange: list[str]) -> Iterator[tuple[str, list[ErrorDetail]]]:
        """Yield an error for each name that the client cannot set."""
        fields: Mapping[str, Field] = self.fields  # type: ignore[attr-defined]
        for name in [name for name in strange if name not in self.others][:REPORTED]:
            if name in fields or name in self.fixed:
                yield name, [ErrorDetail(self.fixed.get(name, FIXED), code="read_only")]
            else:
                message = unknown(self.noun, name, [*self._writable, *self.others])
                yield name[:100], [ErrorDetail(message, code="unknown")]


class Serializer(Strict, serializers.Serializer[Any]):
    """A serializer that refuses what it does not know."""


class ModelSerializer(Strict, serializers.ModelSerializer[Row]):
    """A model's serializer that refuses what it does not know."""


def shape_of(field: Field, lenient: bool) -> Shape | None:
    """Return the shape of a field's values, if it has one; lenient texts have none."""
    if isinstance(field, serializers.ListField):
        child = shape_of(field.child, lenient)
        return child and replace(child, is_list=True)
    for kind, types, pattern, message in SHAPES:
        if isinstance(field, kind):
            free = lenient and isinstance(field, serializers.CharField)
            return None if free else Shape(types, pattern, message)
    return None


def wrong(shape: Shape | None, value: Any, *, is_form: bool) -> Any:
    """Return what is wrong with the type of a value, if anything; null is the field's affair."""
    if shape is None or value is None:
        return None
    if not shape.is_list:
        return None if fits(shape, value, is_form) else [ErrorDetail(shape.message, code="invalid")]
    if not isinstance(value, list):
        return None  # which the field itself says
    return {
        place: [ErrorDetail(shape.message, code="invalid")]
        for place, each in enumerate(value)
        if not fits(shape, each, is_form)
    }


def fits(shape: Shape, value: Any, is_form: bool) -> bool:
    """Return whether a value has a shape; by its very class, for true is a number to Python."""
    if value.__class__ is not str:
        return not is_form and value.__class__ in shape.types
    if not is_form and str not in shape.types:
        return False
    return shape.pattern is None or shape.pattern.fullmatch(value) is not None


def unknown(noun: str, name: str, known: Collection[str]) -> str:
    """Return what to say of a name that is not known."""
    short = name[:100]
    if near := get_close_matches(short, known, n=1):
        return f"There is no {noun} {short}. Did you mean {near[0]}?"
    there_are = f"There are: {', '.join(sorted(known))}." if known else f"This takes no {noun}."
    return f"There is no {noun} {short}. {there_are}"
