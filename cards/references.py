"""Parse bibliographic references: CSL-JSON fields, also under other common spellings.

https://docs.citationstyles.org/en/stable/specification.html#appendix-iv-variables
"""

from __future__ import annotations

from typing import Any

import msgspec
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from api.serializers import ONCE, Serializer, unknown_message
from cards import limits

# Each text field, and its longest value in characters.
TEXT_FIELDS = {
    "type": 50,
    "title": limits.TITLE_LENGTH,
    "container-title": 500,
    "collection-title": 500,
    "event-title": 500,
    "publisher": 300,
    "publisher-place": 300,
    "volume": 50,
    "issue": 50,
    "number": 50,
    "page": 50,
    "edition": 100,
    "DOI": 300,
    "ISBN": 100,
    "ISSN": 100,
    "PMID": 50,
    "language": 50,
    "genre": 100,
    "note": 2000,
    "abstract": 10_000,
}
PEOPLE_FIELDS = ("author", "editor", "translator")
# Other accepted names of fields, and the CSL-JSON name of each.
SPELLINGS = {
    "container_title": "container-title",
    "collection_title": "collection-title",
    "event_title": "event-title",
    "publisher_place": "publisher-place",
    "doi": "DOI",
    "isbn": "ISBN",
    "issn": "ISSN",
    "pmid": "PMID",
    "pages": "page",
    "year": "issued",
}
# The field for a card's visibility in reference formats, which have no field of their own for it.
VISIBILITY = "commonplace-visibility"
YEARS = range(-5000, 3000)
DATE_PARTS_RANGES = (YEARS, range(1, 13), range(1, 32))

# The OpenAPI schemas of fields that accept several types.
PERSON = {
    "oneOf": [
        {"type": "string", "maxLength": 200},
        {"type": "object", "additionalProperties": {"type": "string", "maxLength": 200}},
    ]
}
ISSUED = {
    "oneOf": [
        {"type": "integer"},
        {"type": "string", "pattern": r"^[0-9]{1,4}(-[0-9]{1,2}){0,2}$"},
        {"type": "object", "required": ["date-parts"]},
    ]
}


@extend_schema_field(PERSON)
class Person(serializers.Field[Any, Any, Any, Any]):
    """A person's name: `{family, given}`, `{literal}`, or a string."""

    default_error_messages = {
        "invalid": "A name is a string, or an object with `family` and `given`, or `literal`."
    }
    parts = ("family", "given", "literal", "suffix", "non-dropping-particle")

    def to_internal_value(self, data: Any) -> dict[str, str]:
        """Return the name as an object of its parts; a string becomes `literal`."""
        parts = {"literal": data} if isinstance(data, str) else data
        if not isinstance(parts, dict) or not parts:
            self.fail("invalid")
        if strange := [name for name in parts if name not in self.parts]:
            errors = {
                name[:100]: [unknown_message("field", name, self.parts)] for name in strange[:20]
            }
            raise serializers.ValidationError(errors, code="unknown")
        if not all(isinstance(part, str) for part in parts.values()):
            self.fail("invalid")
        text = serializers.CharField(max_length=200)
        return {name: text.run_validation(part) for name, part in parts.items()}

    def to_representation(self, value: Any) -> Any:
        """Return the name as it is stored."""
        return value


@extend_schema_field(ISSUED)
class Issued(serializers.Field[Any, Any, Any, Any]):
    """A date: a number (year), `YYYY`, `YYYY-MM`, `YYYY-MM-DD`, or CSL-JSON's `date-parts`."""

    default_error_messages = {"invalid": "Give a year, YYYY-MM-DD, or date-parts as in CSL-JSON."}

    def to_internal_value(self, data: Any) -> dict[str, list[list[int]]]:
        """Return the date as CSL-JSON `date-parts`."""
        match data:
            case bool():
                self.fail("invalid")
            case int():
                parts: Any = [data]
            case str():
                parts = self._numbers(data.split("-"))
            case {"date-parts": [[*parts]], **rest} if not rest:
                parts = self._numbers(parts)
            case _:
                self.fail("invalid")
        if not self._is_date(parts):
            self.fail("invalid")
        return {"date-parts": [parts]}

    def _numbers(self, parts: list[Any]) -> list[int]:
        """Return the parts of a date as numbers; raise ValidationError for any other text."""
        texts = [str(part) for part in parts]
        if not all(text.isascii() and text.isdigit() and len(text) <= 4 for text in texts):
            self.fail("invalid")
        return [int(text) for text in texts]

    def _is_date(self, parts: list[int]) -> bool:
        return 1 <= len(parts) <= 3 and all(
            part in allowed for part, allowed in zip(parts, DATE_PARTS_RANGES, strict=False)
        )

    def to_representation(self, value: Any) -> Any:
        """Return the date as it is stored."""
        return value


class ReferenceSerializer(Serializer):
    """A bibliographic reference; responses show it as CSL-JSON."""

    takes_numbers_as_texts = True

    issued = Issued(required=False)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Add the fields of TEXT_FIELDS and PEOPLE_FIELDS."""
        fields = super().get_fields()
        for name, length in TEXT_FIELDS.items():
            fields[name] = serializers.CharField(
                required=False, allow_blank=True, max_length=length
            )
        for name in PEOPLE_FIELDS:
            fields[name] = serializers.ListField(
                child=Person(), required=False, max_length=limits.REFERENCE_PEOPLE
            )
        return fields

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        """Return the reference with CSL-JSON's field names, without empty fields.

        Raise ValidationError if a field is given under two names, or the reference is too long.
        """
        if isinstance(data, dict):
            spelt = {SPELLINGS.get(name, name): value for name, value in data.items()}
            if len(spelt) < len(data):
                twice = [name for name in data if SPELLINGS.get(name, name) in data.keys() - {name}]
                raise serializers.ValidationError({name: [ONCE] for name in twice})
            data = spelt
        values: dict[str, Any] = super().to_internal_value(data)
        values = {name: value for name, value in values.items() if value not in ("", [])}
        if len(msgspec.json.encode(values)) > limits.REFERENCE_BYTES:
            message = f"The reference is longer than {limits.REFERENCE_BYTES} bytes."
            raise serializers.ValidationError({"non_field_errors": [message]})
        return values
