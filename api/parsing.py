"""The JSON parser of request bodies."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any

import msgspec
from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail, ParseError, ValidationError
from rest_framework.parsers import BaseParser

# The end of an object's key. Texts may contain it too.
KEY = re.compile(rb'"\s*:')
TWICE = "This key appears twice in one object; send it once."


class TooLarge(APIException):
    """The body is longer than DATA_UPLOAD_MAX_MEMORY_SIZE."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class JSONParser(BaseParser):
    """Parses JSON in UTF-8 (RFC 8259), with limits of size and depth, and without repeated keys."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value of a JSON body.

        Raise TooLarge, ParseError, or ValidationError for a repeated key.
        """
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge(f"The body is longer than {limit} bytes; send it in parts.")
        try:
            value = msgspec.json.decode(body)
            if len(KEY.findall(body)) != count_keys(value):
                json.loads(body, object_pairs_hook=once)
            return value
        except ValueError as error:
            raise ParseError(f"The body is not JSON: {error}.") from error
        except RecursionError:
            # Without this, a body of a few thousand brackets would be a server error.
            raise ParseError("The body is nested too deeply.") from None


def count_keys(value: Any) -> int:
    """Return the number of keys in all objects of a value.

    If the body's text has as many ends of keys, no key is repeated. A repeated key must be refused:
    msgspec would keep the last value, while a proxy may read the first one.
    """
    total, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            total += len(each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
    return total


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of these pairs; raise ValidationError for a repeated key."""
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValidationError({twice[:100]: [ErrorDetail(TWICE, code="repeated")]})
    return values
