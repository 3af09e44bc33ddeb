"""Reading what clients send."""

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

# What ends the key of an object; it stands in texts too.
KEY = re.compile(rb'"\s*:')


TWICE = "This key is there twice in one object; give it once."


class TooLarge(APIException):
    """The body is longer than the server is willing to hold in memory."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_code = "too_large"


class JSONParser(BaseParser):
    """A parser of JSON in UTF-8 (RFC 8259), within bounds of size and depth."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the values of a JSON body."""
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

    If a body has as many ends of keys, none of its keys came twice, which msgspec would pass over:
    nobody knows which of two values a client means, and proxies may read the other one.
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
    """Return an object; raise ValidationError for a key that comes twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValidationError({twice[:100]: [ErrorDetail(TWICE, code="repeated")]})
    return values
