"""gzip compression, for responses that are long enough and contain no secret."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from api.idempotency import AUTH_PATH

# A shorter response, for example one card, is sent faster than it is compressed.
MIN_BYTES = 1024
COMPRESSIBLE = re.compile(
    r"(text/(?!event-stream)|application/(\w[\w.-]*\+)?(json|xml|yaml)|image/svg)"
)
# Responses with tokens. An attacker who gets text of their own into one could find out the token by
# the compressed length (BREACH, https://www.breachattack.com/).
WITH_TOKENS = (AUTH_PATH, "/admin/")
GZIP_REFUSED = re.compile(r"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")


class CompressionMiddleware(GZipMiddleware):
    """Django's GZipMiddleware, which adds a random length against BREACH, for fewer responses."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Compress the response if that is useful and safe, and the client accepts gzip."""
        if request.path_info.startswith(WITH_TOKENS) or not is_worth_it(response):
            return response
        if GZIP_REFUSED.search(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed


def is_worth_it(response: HttpResponseBase) -> bool:
    """Return whether a response is text and has MIN_BYTES or more (or is streamed)."""
    if not COMPRESSIBLE.match(response.headers.get("Content-Type", "")):
        return False
    return not isinstance(response, HttpResponse) or len(response.content) >= MIN_BYTES
