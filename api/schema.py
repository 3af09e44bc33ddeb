"""The parts of the OpenAPI schema that serializers don't give: errors, headers and examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from api.idempotency import AUTH_PATH
from api.objects import CHANGES, ObjectView
from api.problems import MEDIA_TYPE
from api.serializers import Serializer

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="If you send the same key and body again within a day, you get the first response.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the version that you have. 304 means that it is still the newest.",
)
IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag of the version that you want to change. 412 means that there is a newer"
    " one.",
)
WRITING = ("POST", "PUT", "PATCH")
FIRST_SENTENCE = re.compile(r".*?(?:\.(?=\s|$)|$)", re.DOTALL)
# The description of each error response, by its status.
PROBLEMS = {
    "304": "You have the newest version.",
    "400": "Something in the request is not valid, or not known; `errors` names it.",
    "401": "The token is missing, expired or revoked: log in.",
    "403": "You may see this, but not change it.",
    "404": "There is nothing here, or nothing that you may see.",
    "406": "The response can't be of the type that `Accept` wants.",
    "409": "What the request refers to has just been removed.",
    "412": "There is a newer version than the one in `If-Match`.",
    "413": "The body is larger than this endpoint accepts.",
    "415": "The body's type is not one that this endpoint accepts.",
    "422": "This `Idempotency-Key` was used with another body before.",
    "429": "Too many requests, or too much work: wait for `Retry-After` seconds.",
    "503": "A server behind this one does not respond: wait for `Retry-After` seconds.",
}
REQUEST_ID = {
    "description": "The id of the request in the server's log: yours, if you sent one.",
    "schema": {"type": "string"},
}
RETRY_AFTER = {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
LOCATION = {
    "description": "The address of the created object.",
    "schema": {"type": "string", "format": "uri-reference"},
}
ETAG = {"description": "The version of the object.", "schema": {"type": "string"}}
EXAMPLES: dict[str, Any] = json.loads(
    (Path(__file__).parent / "api_examples.json").read_text(encoding="utf-8")
)


def with_examples(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add an example to each request and response body, from api_examples.json.

    This is a hook of drf-spectacular; `result` is the whole schema.
    """
    for operations in result["paths"].values():
        for operation in operations.values():
            add_examples(operation.get("requestBody", {}))
            for code, response in operation["responses"].items():
                add_examples(response, code=int(code))
    return result


def add_examples(message: dict[str, Any], *, code: int = 0) -> None:
    """Add an example to each media type of a request (code 0) or a response."""
    for media_type, content in message.get("content", {}).items():
        reference = content.get("schema", {}).get("$ref", "")
        component = reference.rpartition("/")[2]
        # A file's schema has no component name, so its example is found by media type.
        example = example_of(component, code) if component else EXAMPLES.get(media_type)
        if example is not None:
            content["example"] = example


def example_of(component: str, code: int) -> Any:
    """Return the example of a schema component, or None; `code` is the response's status."""
    if component == "Problem":
        detail = PROBLEMS.get(str(code), "")
        title = HTTPStatus(code).phrase
        errors = {"errors": [EXAMPLES["FieldError"]]} if code == 400 else {}
        return {"type": "about:blank", "title": title, "status": code, "detail": detail} | errors
    if component.startswith("Paginated"):
        row = example_of(component.removeprefix("Paginated").removesuffix("List"), code)
        return {"next": None, "previous": None, "results": [row]}
    return EXAMPLES.get(component)


class FieldErrorSerializer(Serializer):
    """One field that is not valid."""

    field = serializers.CharField(help_text="Dotted path; empty if the error is in no one field.")
    detail = serializers.CharField()
    code = serializers.CharField()


class ProblemSerializer(Serializer):
    """A problem document (RFC 9457)."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldErrorSerializer(many=True, required=False)  # type: ignore[assignment]


class ProblemSchema(AutoSchema):
    """The schema of a view, with its error responses, headers and examples."""

    view: Any  # an api.views.APIView: the system check api.E001 sees to it

    def get_summary(self) -> str:
        """Return the first sentence of the docstring of the view's method."""
        return FIRST_SENTENCE.match(super().get_description())[0].rstrip(".")  # type: ignore[index]

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        """Add the view's possible errors and the headers of each response to the generated ones."""
        bodies = super()._get_response_bodies(direction)
        for code in self.error_codes():
            if code not in bodies:
                body = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    ProblemSerializer, code, [MEDIA_TYPE]
                )
                bodies[code] = body | {"description": PROBLEMS[code]}
        if self.method == "GET" and self.is_object():
            bodies["304"] = {"description": PROBLEMS["304"]}
        for code, body in bodies.items():
            body["headers"] = dict(self.response_headers(code))
        return bodies

    def response_headers(self, code: str) -> Iterator[tuple[str, Any]]:
        """Yield the name and the schema of each response header to document for a status."""
        yield "X-Request-ID", REQUEST_ID
        if code in ("429", "503"):
            yield "Retry-After", RETRY_AFTER
        if code == "401":
            yield "WWW-Authenticate", {"schema": {"type": "string", "const": "Token"}}
        if code in ("201", "202") and self.view.location[0]:
            yield "Location", LOCATION
        if code in ("200", "304") and self.method == "GET" and self.is_object():
            yield "ETag", ETAG

    def is_object(self) -> bool:
        """Return whether the view serves one object, whose versions have ETags."""
        return isinstance(self.view, ObjectView)

    def get_override_parameters(self) -> list[Any]:
        """Return the view's query parameters and request headers."""
        parameters = list(super().get_override_parameters())
        query = self.view.query_serializer
        if self.method == "GET" and query().fields:
            parameters.append(query)
        if self.is_object():
            parameters += {"GET": [IF_NONE_MATCH], "PUT": []}.get(self.method, [IF_MATCH])
        return [*parameters, IDEMPOTENCY_KEY] if self.may_be_repeated() else parameters

    def may_be_repeated(self) -> bool:
        """Return whether the view accepts an Idempotency-Key."""
        return self.method == "POST" and (
            not self.path.startswith(AUTH_PATH) or self.view.may_be_repeated
        )

    def error_codes(self) -> list[str]:
        """Return the statuses of the view's possible errors."""
        is_public = any(type(each) is AllowAny for each in self.view.get_permissions())
        possible = {
            # Every view refuses unknown parameters.
            "400": True,
            "401": not is_public,
            "403": "{" in self.path and self.method != "GET",
            "404": "{" in self.path,
            "406": True,
            "409": self.method in WRITING,
            "412": self.method in CHANGES and self.is_object(),
            "413": self.method in WRITING,
            "415": self.method in WRITING,
            "422": self.may_be_repeated(),
            "503": True,
        }
        return sorted({code for code in possible if possible[code]} | self.view.other_errors)
