"""All operations of the API, each with an address that exists and what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from api.checks import api_views

METHODS = ("get", "post", "put", "patch", "delete")
PARAMETER = re.compile(r"<\w+:(\w+)>")
# What the parameters are that a GET may need.
VALUES = {"url": "https://example.org/a-page", "format": "json"}


@dataclass(frozen=True)
class Operation:
    """A method at a route."""

    method: str
    route: str
    view: type[Any]

    def path(self, known: Mapping[str, Any]) -> str:
        """Return the address, with these values in it."""
        return "/" + PARAMETER.sub(lambda found: str(known[found[1]]), self.route)

    @property
    def required(self) -> dict[str, str]:
        """Return the parameters that it needs."""
        now = f"{timezone.now():%Y-%m-%dT%H:%M:%S.%fZ}"
        fields = self.view.query_serializer().fields if self.method == "get" else {}
        needed = [name for name, field in fields.items() if field.required]
        return {name: ({"at": now} | VALUES)[name] for name in needed}

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.route}"


def operations() -> Iterator[Operation]:
    """Yield every operation there is."""
    for route, view in sorted(api_views(), key=lambda found: found[0]):
        for method in METHODS:
            if hasattr(view, method):
                yield Operation(method, route, view)
