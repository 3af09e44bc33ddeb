from __future__ import annotations

from hashlib import sha256

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle
from rest_framework.views import APIView


class LoginThrottle(SimpleRateThrottle):
    """This slows down guessing: so many tries a minute for one username, wherever they come from.

    By username, since addresses can be many and forged; each web process counts for itself.
    """

    scope = "login"

    def get_cache_key(self, request: Request, view: APIView) -> str | None:
        """This answers under which key the tries are counted; None for what is no login."""
        username = request.data.get("username") if isinstance(request.data, dict) else None
        if not isinstance(username, str):
            return None
        ident = sha256(username.lower().encode(errors="replace")).hexdigest()
        return self.cache_format % {"scope": self.scope, "ident": ident}
