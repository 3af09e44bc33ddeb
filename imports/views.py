from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from api.downloads import NoNegotiation, csv_lines, file_response
from api.objects import ObjectView
from api.views import APIView, ListAPIView, QuerySerializer
from cards.queries import own_collections
from cards.services import rules
from eventbook import admit_bulk_work
from eventbook.operate import DeadLetters, Delivery, replay_dead_letters
from imports import limits, queries, services
from imports.jobs import quotas
from imports.models import Import, ImportProblem
from imports.serializers import (
    HowToImportSerializer,
    ImportedAddressSerializer,
    ImportedFileSerializer,
    ImportInputSerializer,
    ImportSerializer,
    RowSerializer,
    UsageSerializer,
)

ENVELOPE_BYTES = 64 * 1024  # allowance for a multipart body around its file


class FileTooLarge(APIException):
    """The file is longer than an import may be."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = f"The file is longer than {limits.IMPORT_BYTES} bytes. Divide it."
    default_code = "too_large"


class Imports(ListAPIView[Import]):
    """List your imports, newest first."""

    location = ("import", "id")

    queryset = Import.objects.none()
    serializer_class = ImportSerializer
    parser_classes = [*APIView.parser_classes, MultiPartParser]
    other_errors = frozenset({"429"})

    def get_queryset(self) -> QuerySet[Import]:
        """Return the client's imports."""
        return queries.imports_of(person(self.request))

    def paginate_queryset(self, queryset: Any) -> Any:
        """Return one page, and load the numbers of its dead letters with one query."""
        page: list[Import] = super().paginate_queryset(queryset) or []
        self.dead_letters = queries.count_dead_letters(job.pk for job in page)
        return page

    def get_serializer_context(self) -> dict[str, Any]:
        """Pass the numbers of dead letters to the serializer."""
        dead = getattr(self, "dead_letters", {})
        return {**super().get_serializer_context(), "dead_letters": dead}

    @extend_schema(
        request={
            "multipart/form-data": ImportedFileSerializer,
            "application/json": ImportedAddressSerializer,
        },
        responses={202: ImportSerializer},
    )
    def post(self, request: Request) -> Response:
        """Import a file (multipart/form-data), or the file at an address (JSON).

        A worker reads it, and detects the format from the content. Poll the import's own address
        for its progress. A 429 means that the backlog is too large, or one of your quotas is used
        up (`GET imports/usage/`); repeat the request after `Retry-After` seconds.
        """
        return create_import(request, ImportInputSerializer)


class ImportedFiles(APIView):
    """Uploads of files to import.

    They have their own address because some generated clients support one content type per
    address, and that of `imports/` is JSON.
    """

    parser_classes = [*APIView.parser_classes, MultiPartParser]
    location = ("import", "id")
    other_errors = frozenset({"429"})

    @extend_schema(
        request={"multipart/form-data": ImportedFileSerializer}, responses={202: ImportSerializer}
    )
    def post(self, request: Request) -> Response:
        """Import a file, as `POST imports/` does."""
        return create_import(request, ImportedFileSerializer)


def create_import(request: Request, kind: type[HowToImportSerializer]) -> Response:
    """Create an import from a request, and return it with status 202.

    Raise FileTooLarge, QuotaExceeded, or BacklogFull.
    """
    refuse_large(request)
    admit_bulk_work()
    given = input_of(request, kind.checked(request.data))
    job = services.request_import(owner=person(request), **given)
    return Response(ImportSerializer(job).data, status=202)


def refuse_large(request: Request) -> None:
    """Raise FileTooLarge by the request's Content-Length, before its body is read."""
    length = str(request.META.get("CONTENT_LENGTH") or "0")
    is_file = str(request.content_type or "").startswith("multipart/")
    if is_file and length.isdecimal() and int(length) > limits.IMPORT_BYTES + ENVELOPE_BYTES:
        raise FileTooLarge


def input_of(request: Request, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `services.request_import`; raise FileTooLarge."""
    require_own_collection(request, given.get("collection"))
    url, file = given.pop("url", ""), given.pop("file", None)
    if file is None:
        return given | {"source": url}
    if file.size > limits.IMPORT_BYTES:
        raise FileTooLarge
    return given | {"source": str(file.name)[:200], "content": file.read()}


def require_own_collection(request: Request, collection: UUID | None) -> None:
    """Raise ValidationError unless the collection exists and is the client's."""
    if collection and not own_collections(person(request)).filter(pk=collection).exists():
        raise ValidationError({"collection": rules.UNKNOWN_COLLECTION}, code="does_not_exist")


class QuotaUsage(APIView):
    """The client's quotas for imports."""

    @extend_schema(responses=UsageSerializer)
    def get(self, request: Request) -> Response:
        """Show your usage and limits, and when the daily quotas reset."""
        return Response(UsageSerializer(quotas.usage(person(request))).data)


class ImportDetail(ObjectView):
    """One import."""

    model, key = Import, "import_id"

    @extend_schema(responses=ImportSerializer)
    def get(self, request: Request, import_id: UUID) -> Response:
        """Show an import's progress: rows by result, rows per second, and time left."""
        return import_response(own_import(request, import_id))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, import_id: UUID) -> Response:
        """Delete an import, ending it if it is open; its cards stay."""
        services.remove_import(own_import(request, import_id))
        return Response(status=204)


class CancelImport(APIView):
    """Cancelling an import."""

    without_body = frozenset({"POST"})

    @extend_schema(request=None, responses=ImportSerializer)
    def post(self, request: Request, import_id: UUID) -> Response:
        """End an import now; the cards added so far stay."""
        services.cancel_import(own_import(request, import_id))
        return import_response(own_import(request, import_id))


class ResumeImport(APIView):
    """Retrying an import's dead letters."""

    without_body = frozenset({"POST"})

    @extend_schema(request=None, responses=ImportSerializer)
    def post(self, request: Request, import_id: UUID) -> Response:
        """Retry the batches that failed too often. After a crash, imports go on by themselves."""
        job = own_import(request, import_id)
        dead = Delivery.objects.filter(pk__in=queries.dead_letters_of([job.pk]).values("pk"))
        if dead.exists():
            replay_dead_letters(DeadLetters(among=dead), actor=person(request).username)
        return import_response(job)


OUTCOMES: dict[str, Callable[[Import], QuerySet[Any]]] = {
    "failed": queries.problems_of,
    "merged": queries.merges_of,
    "warned": queries.warnings_of,
}


class RowsQuerySerializer(QuerySerializer):
    """The filter for an import's rows."""

    outcome = serializers.ChoiceField(
        list(OUTCOMES),
        required=False,
        default="failed",
        help_text="Which rows to list. Added and known rows are only counted. `warned` rows have "
        "another result too.",
    )


class Rows(ListAPIView[Any]):
    """List the failed rows with line and reason, or the merged or warned rows."""

    queryset = ImportProblem.objects.none()
    serializer_class = RowSerializer
    query_serializer = RowsQuerySerializer
    cursor_ordering = "id"

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows of one of the client's imports, filtered by `outcome`."""
        job = own_import(self.request, self.kwargs["import_id"])
        return OUTCOMES[self.query["outcome"]](job)


class ErrorsFile(APIView):
    """The failed rows of an import, as a CSV file."""

    other_errors = frozenset({"429"})
    content_negotiation_class = NoNegotiation

    @extend_schema(responses={(200, "text/csv"): OpenApiTypes.STR})
    def get(self, request: Request, import_id: UUID) -> StreamingHttpResponse:
        """Download the failed rows with line and reason, as CSV."""
        job = own_import(request, import_id)
        lines = csv_lines(error_rows(job))
        name = f"errors-{job.pk}.csv"
        return file_response(lines, name=name, type="text/csv", reader_id=job.owner_id)


def error_rows(job: Import) -> Iterator[tuple[Any, ...]]:
    """Yield the lines of an errors file: a header, then the failed rows."""
    yield "line", "code", "detail", "row"
    problems = queries.problems_of(job).order_by("id")
    yield from problems.values_list("line", "code", "detail", "row").iterator(chunk_size=500)


def own_import(request: Request, import_id: UUID) -> Import:
    """Return one of the client's imports; raise 404 for another user's."""
    return get_object_or_404(queries.imports_of(person(request)), pk=import_id)


def import_response(job: Import) -> Response:
    """Return the response with an import and its number of dead letters."""
    context = {"dead_letters": queries.count_dead_letters([job.pk])}
    return Response(ImportSerializer(job, context=context).data)
