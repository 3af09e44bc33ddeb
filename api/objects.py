"""Views of one object: ETags, and conditional changes that fail if the object has changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model
from django.utils.cache import get_conditional_response
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.views import APIView

CHANGES = ("PATCH", "DELETE")
# Compression, here or in a proxy, marks an ETag as weak, though the object is the same.
WEAK = re.compile(r'(?:^|(?<=,)|(?<=\s))W/(?=")')


class PreconditionFailed(APIException):
    """The object has another version than the ETag that the client sent."""

    status_code = status.HTTP_412_PRECONDITION_FAILED
    default_detail = "The object has changed since you read it: read it again before you change it."
    default_code = "changed"


class ObjectView(APIView):
    """A view of one object (RFC 9110, sections 8.8.3 and 13).

    GET returns an ETag, or 304 to a client that has this version. PATCH and DELETE with `If-Match`
    change only that version; if the object has another one, they return 412.
    """

    # The model whose row is locked during the comparison, and the URL's keyword with its key.
    model: ClassVar[type[Model]]
    key: ClassVar[str] = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Wrap a change with an `If-Match` header in the comparison of versions."""
        super().initial(request, *args, **kwargs)
        if sent := request.META.get("HTTP_IF_MATCH"):
            request.META["HTTP_IF_MATCH"] = WEAK.sub("", sent)
        name = str(request.method).lower()
        if request.method in CHANGES and "If-Match" in request.headers and hasattr(self, name):
            setattr(self, name, partial(self.if_unchanged, getattr(self, name)))

    def if_unchanged(
        self, change: Callable[..., Response], request: Request, **kwargs: Any
    ) -> Response:
        """Make a change if the object still has a version in `If-Match`; else raise 412."""
        wanted = {each.strip() for each in request.META["HTTP_IF_MATCH"].split(",")}
        with transaction.atomic():
            self.lock(request, **kwargs)
            current = etag_of(self.get(request, **kwargs).data)  # type: ignore[attr-defined]
            if not wanted & {current, "*"}:
                raise PreconditionFailed
            return change(request, **kwargs)

    def lock(self, request: Request, **kwargs: Any) -> None:
        """Lock the object's row until the transaction ends."""
        rows = self.model._default_manager.filter(pk=kwargs[self.key])  # noqa: SLF001
        list(rows.select_for_update().values_list("pk"))

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the ETag to the response of a GET, or return 304 if the client has this version."""
        response = super().finalize_response(request, response, *args, **kwargs)
        is_read = request.method in ("GET", "HEAD") and response.status_code == status.HTTP_200_OK
        if not is_read or not isinstance(response, Response):
            return response
        response["ETag"] = etag = etag_of(response.data)
        own: Any = getattr(request, "_request")  # noqa: B009 - Django's, which the framework wraps
        return get_conditional_response(own, etag=etag, response=response)


def etag_of(data: Any) -> str:
    """Return the ETag of an object's representation: a hash of its JSON."""
    return f'"{sha256(JSONRenderer().render(data)).hexdigest()[:32]}"'
