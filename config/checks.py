"""Django system checks: parts in different files that must match each other."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.serializers import BaseSerializer, ListSerializer

from api.serializers import Strict
from api.views import APIView
from events.queues import all_policies


@register()
def every_queue_has_workers(**_: Any) -> list[CheckMessage]:
    """Report each queue without a process group in fly.toml: its work would wait for ever."""
    path = settings.BASE_DIR / "fly.toml"
    if not path.exists():
        return []
    processes = tomllib.loads(path.read_text(encoding="utf-8")).get("processes", {})
    return [
        Error(
            f"The queue {policy.name!r} has no workers: fly.toml has no process group "
            f"{policy.process_group!r} that runs `manage.py worker {policy.name}`.",
            hint="Add the process group, or remove the queue from config/queues.py.",
            id="config.E001",
        )
        for policy in all_policies().values()
        if not str(processes.get(policy.process_group, "")).endswith(f" worker {policy.name}")
    ]


@register()
def every_endpoint_is_strict(**_: Any) -> list[CheckMessage]:
    """Report each API view or serializer that would ignore unknown parameters or fields."""
    loose: list[CheckMessage] = [
        Error(
            f"{view.__module__}.{view.__qualname__} accepts any parameter, at {route}.",
            hint="Derive it from api.views.APIView or ListAPIView.",
            id="config.E002",
        )
        for route, view in api_views()
        if not issubclass(view, APIView)
    ]
    loose += [
        Error(
            f"{serializer.__module__}.{serializer.__qualname__} accepts any field.",
            hint="Derive it from api.serializers.Serializer or ModelSerializer.",
            id="config.E003",
        )
        for serializer in subclasses(BaseSerializer)
        if not issubclass(serializer, (Strict, ListSerializer)) and is_ours(serializer)
    ]
    return loose


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
