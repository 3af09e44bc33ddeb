"""System checks over the API's views and serializers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.serializers import BaseSerializer, ListSerializer

from api.serializers import Strict
from api.views import APIView


@register()
def every_endpoint_is_strict(**_: Any) -> list[CheckMessage]:
    """Report each API view or serializer that would ignore unknown parameters or fields."""
    errors: list[CheckMessage] = [
        Error(
            f"{view.__module__}.{view.__qualname__} accepts any parameter, at {route}.",
            hint="Derive it from api.views.APIView or ListAPIView.",
            id="api.E001",
        )
        for route, view in api_views()
        if not issubclass(view, APIView)
    ]
    errors += [
        Error(
            f"{serializer.__module__}.{serializer.__qualname__} accepts any field.",
            hint="Derive it from api.serializers.Serializer or ModelSerializer.",
            id="api.E002",
        )
        for serializer in subclasses(BaseSerializer)
        if not issubclass(serializer, (Strict, ListSerializer)) and is_ours(serializer)
    ]
    return errors


def api_views() -> Iterator[tuple[str, type[Any]]]:
    """Yield the route and the class of each view of the API."""
    waiting: list[tuple[str, Any]] = [("", each) for each in get_resolver().url_patterns]
    while waiting:
        prefix, each = waiting.pop()
        route = f"{prefix}{each.pattern}"
        if isinstance(each, URLResolver):
            waiting.extend((route, inner) for inner in each.url_patterns)
        elif isinstance(each, URLPattern) and route.startswith("api/v"):
            yield route, getattr(each.callback, "cls", type(each.callback))


def subclasses(kind: type[Any]) -> Iterator[type[Any]]:
    """Yield all loaded subclasses of a class, direct and indirect."""
    for derived in kind.__subclasses__():
        yield derived
        yield from subclasses(derived)


def is_ours(kind: type[Any]) -> bool:
    """Return whether a class is defined in this project and not in a library."""
    return (settings.BASE_DIR / kind.__module__.partition(".")[0]).is_dir()
