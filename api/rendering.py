"""The JSON renderer of the API's responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework import renderers
from rest_framework.utils.encoders import JSONEncoder

_others = JSONEncoder()


class JSONRenderer(renderers.JSONRenderer):
    """Writes the same JSON as REST framework's renderer in a tenth of the time.

    If a client requests indented JSON, REST framework's renderer writes it.
    """

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the data as JSON; None becomes an empty body."""
        if data is None:
            return b""
        if self.get_indent(accepted_media_type or "", renderer_context or {}) is not None:
            return bytes(super().render(data, accepted_media_type, renderer_context))
        return encode(data)


def plain(value: Any) -> Any:
    """Convert a value of a type that msgspec can't write."""
    # A subclass of str, for example REST framework's ErrorDetail.
    return str.__str__(value) if isinstance(value, str) else _others.default(value)


encode = msgspec.json.Encoder(enc_hook=plain).encode
