"""Redirects from URLs without their final slash."""

from __future__ import annotations

from functools import partial

from django.http import HttpResponsePermanentRedirect
from django.middleware.common import CommonMiddleware


class SlashMiddleware(CommonMiddleware):
    """Redirects as Django's CommonMiddleware does, but with status 308.

    Django's 301 would make clients repeat a POST as a GET without its body.
    """

    response_redirect_class = partial(HttpResponsePermanentRedirect, preserve_request=True)  # type: ignore[assignment]
