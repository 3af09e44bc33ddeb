"""gzip, for clients that ask for it, where it is worth it and gives nothing away."""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

# A card is shorter, and sooner sent than compressed.
LEAST_BYTES = 1024
TYPES = re.compile(r"(text/(?!event-stream)|application/(\w[\w.-]*\+)?(json|xml|yaml)|image/svg)")
# Where tokens are; whoever can have text of his own beside them could guess them by the length.
SECRET = ("/api/v1/auth/", "/admin/")
REFUSED = re.compile(r"gzip\s*;\s*q=0(\.0*)?\s*(,|$)")


class CompressionMiddleware(GZipMiddleware):
    """Django's own, which adds a random length against BREACH, for fewer responses."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Compress the response if the client takes it so."""
        if request.path_info.startswith(SECRET) or not is_worth_it(response):
            return response
        if REFUSED.search(request.META.get("HTTP_ACCEPT_ENCODING", "")):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed


def is_worth_it(response: HttpResponseBase) -> bool:
    """Return whether a response is text, and long enough."""
    if not TYPES.match(response.headers.get("Content-Type", "")):
        return False
    return not isinstance(response, HttpResponse) or len(response.content) >= LEAST_BYTES
