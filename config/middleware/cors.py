"""Cross-origin requests to the API, from the origins that CORS_ORIGINS names.

Tokens are in a header, never in a cookie, so no origin is ever allowed to send credentials.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

ORIGIN = re.compile(r"https?://[^/\s*?#@]+")
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
# What scripts may send, and what they may read, beyond what every script may.
SENT = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID,"
    " Traceparent, X-Request-ID"
)
READ = (
    "Content-Disposition, ETag, Idempotent-Replayed, Location, Retry-After, WWW-Authenticate,"
    " X-Request-ID"
)
PREFLIGHT_SECONDS = "7200"


class CorsMiddleware:
    """Let scripts of other sites use the API; without CORS_ORIGINS it isn't there."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        if not settings.CORS_ORIGINS:
            raise MiddlewareNotUsed
        for origin in settings.CORS_ORIGINS:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ImproperlyConfigured(
                    f"CORS_ORIGINS has {origin!r}, which is no origin: name each as"
                    " https://example.org, without a path, or allow all by *."
                )
        self.get_response = get_response
        self.origins = frozenset(settings.CORS_ORIGINS)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        origin = request.headers.get("Origin", "")
        if not request.path_info.startswith("/api/"):
            return self.get_response(request)
        allowed = self._allowed(origin)
        is_preflight = "Access-Control-Request-Method" in request.headers
        if allowed and request.method == "OPTIONS" and is_preflight:
            response = HttpResponse(status=204)
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = SENT
            response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        else:
            response = self.get_response(request)
        if allowed:
            response.headers["Access-Control-Allow-Origin"] = allowed
            response.headers["Access-Control-Expose-Headers"] = READ
        if "*" not in self.origins:
            patch_vary_headers(response, ["Origin"])
        return response

    def _allowed(self, origin: str) -> str:
        if "*" in self.origins and origin:
            return "*"
        return origin if origin in self.origins else ""
