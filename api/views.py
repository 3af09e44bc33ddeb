"""The base classes of the API's views, which refuse unknown parameters and unexpected bodies.

A view's known parameters are the fields of its `query_serializer`, which the OpenAPI schema shows
too. The system check `api.E001` reports a route whose view has another base class.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from django.db.models import Model, QuerySet
from django.urls import reverse
from rest_framework import generics, views
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from api.serializers import Serializer

Row = TypeVar("Row", bound=Model)

# Statuses of responses to a request that created an object, or will create it later.
CREATED = (201, 202)
NO_BODY = "This takes no body; leave this out."


class QuerySerializer(Serializer):
    """The query parameters of a view: a view without parameters uses this base class."""

    noun = "parameter"


class ByHeader(DefaultContentNegotiation):
    """Content negotiation by the `Accept` header alone; `?format=` has no special meaning."""

    class settings:  # noqa: N801 - the framework's name
        URL_FORMAT_OVERRIDE = None


class APIView(views.APIView):
    """A view that refuses unknown parameters and unexpected bodies, after authentication."""

    content_negotiation_class: Any = ByHeader
    # The parameters of GET and HEAD; other methods have none.
    query_serializer: ClassVar[type[QuerySerializer]] = QuerySerializer
    # Methods whose body must be empty. A view that reads no body for others adds them.
    without_body: ClassVar[frozenset[str]] = frozenset({"DELETE"})
    # Of an object that POST creates: its route, and the dotted path to its key in the response.
    location: ClassVar[tuple[str, str]] = ("", "")
    # Whether a POST below `auth/` accepts an Idempotency-Key; all other POSTs do.
    may_be_repeated: ClassVar[bool] = False
    # Error statuses for the schema, beyond those that follow from the method and the path.
    other_errors: ClassVar[frozenset[str]] = frozenset()
    # The validated parameters of this request, by name.
    query: Mapping[str, Any] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse unknown parameters and unexpected bodies, after the checks of permissions."""
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        self.query = self.known_parameters(request)
        if request.method in self.without_body:
            refuse_body(request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Add the `Location` header to the response of a POST that created an object."""
        if request.method == "POST" and response.status_code in CREATED:
            for name, value in self.location_header(response.data).items():
                response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)

    @classmethod
    def location_header(cls, created: Any) -> dict[str, str]:
        """Return the `Location` header of an object that POST created, or {} without a route.

        `created` is the data of the response.
        """
        route, name = cls.location
        if not route:
            return {}
        for part in name.split("."):
            created = created[part]
        return {"Location": reverse(route, args=[created])}

    @classmethod
    def may_see(cls, viewer: Any, created: Any) -> bool:
        """Return whether a person may still see the data that a POST returned.

        Called before a stored response is sent again. True by default: most of this
        data is the person's own.
        """
        return True

    def known_parameters(self, request: Request) -> Mapping[str, Any]:
        """Return the validated parameters; raise ValidationError if one is unknown or invalid."""
        reads = request.method in ("GET", "HEAD")
        serializer_class = self.query_serializer if reads else QuerySerializer
        if not request.query_params and serializer_class is QuerySerializer:
            return {}
        serializer = serializer_class(data=request.query_params)
        serializer.also_known = self.page_parameters() if reads else ()
        serializer.is_valid(raise_exception=True)
        values: Mapping[str, Any] = serializer.validated_data
        return values

    def page_parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters that the pagination reads."""
        return ()


class ListAPIView(APIView, generics.ListAPIView[Row]):
    """A list view that refuses unknown parameters; those of its pagination are known."""

    # The unique column by which pages are ordered; with "-", the largest value comes first.
    cursor_ordering: ClassVar[str] = "-id"

    def page_rows(
        self, queryset: QuerySet[Row], after: Any | None, *, descending: bool, limit: int
    ) -> Iterable[Any]:
        """Return up to `limit` rows after the value `after` of the ordering column, in a direction.

        Without `after`, the rows start with the first in this direction. A view whose rows don't
        come from one queryset overrides this.
        """
        column = self.cursor_ordering.removeprefix("-")
        if after is not None:
            queryset = queryset.filter(**{f"{column}__{'lt' if descending else 'gt'}": after})
        return queryset.order_by(("-" if descending else "") + column)[:limit]

    def page_parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters that the pagination reads."""
        paginator: Any = self.paginator
        return tuple(each["name"] for each in paginator.get_schema_operation_parameters(self))


def refuse_body(request: Request) -> None:
    """Raise ValidationError if the request has a body."""
    if isinstance(request.data, Mapping):
        names = [str(name)[:100] for name in request.data][:20]
        if names:
            raise ValidationError({name: ErrorDetail(NO_BODY, "unknown") for name in names})
    elif request.data is not None:
        raise ValidationError({"non_field_errors": ErrorDetail(NO_BODY, "unknown")})
