"""CORS (https://fetch.spec.whatwg.org/): allow scripts of the sites in CORS_ORIGINS to use the API.

Tokens are sent in a header and never in a cookie, so no origin is allowed to send credentials.
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
# Request headers that scripts may send, and response headers that they may read, beyond the ones
# that are always allowed.
REQUEST_HEADERS = (
    "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID,"
    " Traceparent, X-Request-ID"
)
RESPONSE_HEADERS = (
    "Content-Disposition, ETag, Idempotent-Replayed, Location, Retry-After, WWW-Authenticate,"
    " X-Request-ID"
)
PREFLIGHT_SECONDS = "7200"


class CorsMiddleware:
    """Add CORS headers to the API's responses, and respond to preflight requests.

    Without CORS_ORIGINS, Django leaves this middleware out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Check the setting; raise ImproperlyConfigured for an entry that is no origin."""
        if not settings.CORS_ORIGINS:
            raise MiddlewareNotUsed
        for origin in settings.CORS_ORIGINS:
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ImproperlyConfigured(
                    f"CORS_ORIGINS has {origin!r}, which is no origin: name each as"
                    " https://example.org, without a path, or allow all by *."
                )
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Respond to a preflight request of an allowed origin; else add headers to the response."""
        origin = request.headers.get("Origin", "")
        if not request.path_info.startswith("/api/"):
            return self.get_response(request)
        headers = cors_headers(origin)
        is_preflight = "Access-Control-Request-Method" in request.headers
        if headers and request.method == "OPTIONS" and is_preflight:
            response = HttpResponse(status=204)
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = REQUEST_HEADERS
            response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        else:
            response = self.get_response(request)
        for name, value in headers.items():
            response.headers[name] = value
        if "*" not in settings.CORS_ORIGINS:
            patch_vary_headers(response, ["Origin"])
        return response


def cors_headers(origin: str) -> dict[str, str]:
    """Return the headers that let an origin's scripts read a response; none if not allowed."""
    anybody = "*" in settings.CORS_ORIGINS
    if not origin or not (anybody or origin in settings.CORS_ORIGINS):
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if anybody else origin,
        "Access-Control-Expose-Headers": RESPONSE_HEADERS,
    }
