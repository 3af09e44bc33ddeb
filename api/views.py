"""The views of the API: each refuses parameters and bodies that it does not know.

A parameter is known when the view's `query_serializer` has it, which the OpenAPI schema shows too.
The system check `config.E002` refuses a route whose view does not derive from these.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from django.db.models import Model
from django.urls import reverse
from rest_framework import generics, views
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request

from api.serializers import Serializer

Row = TypeVar("Row", bound=Model)

# Statuses that say that something was made, or will be.
MADE = (201, 202)
NO_BODY = "This takes no body; leave this out."


class QuerySerializer(Serializer):
    """The parameters of a view; this one has none."""

    noun = "parameter"


class ByHeader(DefaultContentNegotiation):
    """The `Accept` header alone chooses the type; `?format=` is a parameter like any other."""

    class settings:  # noqa: N801 - the framework's name
        URL_FORMAT_OVERRIDE = None


class APIView(views.APIView):
    """A view that refuses what it does not know, once it knows who asks."""

    content_negotiation_class: Any = ByHeader
    # The parameters of GET; other methods take none.
    query_serializer: ClassVar[type[QuerySerializer]] = QuerySerializer
    # Methods whose body must be empty; views that read none add theirs.
    without_body: ClassVar[frozenset[str]] = frozenset({"DELETE"})
    # The route of what a POST makes, and where the response has the name of it.
    location: ClassVar[tuple[str, str]] = ("", "")
    # Statuses of errors beyond those that the schema knows from the method and the path.
    other_errors: ClassVar[frozenset[str]] = frozenset()
    # The values of the parameters, by name.
    query: Mapping[str, Any] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse parameters and bodies that are not known, after the checks of who asks."""
        super().initial(request, *args, **kwargs)
        if request.method == "OPTIONS":
            return
        self.query = self.known_parameters(request)
        if request.method in self.without_body:
            refuse_body(request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        """Say in `Location` where to find what a POST has made."""
        if request.method == "POST" and response.status_code in MADE:
            for name, value in self.where_made(response.data).items():
                response[name] = value
        return super().finalize_response(request, response, *args, **kwargs)

    @classmethod
    def where_made(cls, made: Any) -> dict[str, str]:
        """Return the header that says where to find what a POST has made, if there is one."""
        route, name = cls.location
        if not route:
            return {}
        for part in name.split("."):
            made = made[part]
        return {"Location": reverse(route, args=[made])}

    @classmethod
    def may_see(cls, viewer: Any, made: Any) -> bool:
        """Return whether a person may still see what a POST answered; it was theirs, mostly."""
        return True

    def known_parameters(self, request: Request) -> Mapping[str, Any]:
        """Return the values of the parameters; raise ValidationError."""
        reads = request.method in ("GET", "HEAD")
        own = self.query_serializer if reads else QuerySerializer
        if not request.query_params and own is QuerySerializer:
            return {}
        given = own(data=request.query_params)
        given.others = self.page_parameters() if reads else ()
        given.is_valid(raise_exception=True)
        values: Mapping[str, Any] = given.validated_data
        return values

    def page_parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters that the pagination reads."""
        return ()


class ListAPIView(APIView, generics.ListAPIView[Row]):
    """A list that refuses what it does not know."""

    def page_parameters(self) -> tuple[str, ...]:
        """Return the names of the parameters that the pagination reads."""
        paginator: Any = self.paginator
        return tuple(each["name"] for each in paginator.get_schema_operation_parameters(self))


def refuse_body(request: Request) -> None:
    """Raise ValidationError for a body where none is read."""
    if isinstance(request.data, Mapping):
        names = [str(name)[:100] for name in request.data][:20]
        if names:
            raise ValidationError({name: ErrorDetail(NO_BODY, "unknown") for name in names})
    elif request.data is not None:
        raise ValidationError({"non_field_errors": ErrorDetail(NO_BODY, "unknown")})
