"""What the OpenAPI schema says beyond the serializers: every error is a problem document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.permissions import AllowAny

from api.serializers import Serializer
from config.idempotency import AUTH
from config.problems import MEDIA_TYPE

IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key and body again, within a day, get the first answer again.",
)
WRITING = ("POST", "PUT", "PATCH")


class FieldErrorSerializer(Serializer):
    """One field that is not valid."""

    field = serializers.CharField(help_text="Dotted path; empty when no one field is at fault.")
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
    """The schema of a view, with the errors that it may answer."""

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies = super()._get_response_bodies(direction)
        for code in self.error_codes():
            if code not in bodies:
                body = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    ProblemSerializer, code, [MEDIA_TYPE]
                )
                bodies[code] = body | {"description": "Problem"}
        return bodies

    def get_override_parameters(self) -> list[Any]:
        """Return the parameters of a GET, and the header by which a POST may be sent again."""
        parameters = list(super().get_override_parameters())
        query = getattr(self.view, "query_serializer", None)
        if self.method == "GET" and query and query().fields:
            parameters.append(query)
        return [*parameters, IDEMPOTENCY_KEY] if self.may_be_repeated() else parameters

    def may_be_repeated(self) -> bool:
        """Return whether an Idempotency-Key has a meaning here."""
        return self.method == "POST" and (
            not self.path.startswith(AUTH) or getattr(self.view, "may_be_repeated", False)
        )

    def error_codes(self) -> list[str]:
        """This answers the codes of the errors that the view may answer."""
        permissions = self.view.get_permissions()
        return [
            code
            for code, possible in {
                # Parameters that are not known, at least.
                "400": True,
                "401": not any(type(permission) is AllowAny for permission in permissions),
                "403": "{" in self.path and self.method != "GET",
                "404": "{" in self.path,
                "406": True,
                "409": self.method in WRITING,
                "413": self.method in WRITING,
                "415": self.method in WRITING,
                "422": self.may_be_repeated(),
                "429": getattr(self.view, "checks_passwords", False)
                or getattr(self.view, "refuses_bulk_work", False),
                "503": True,
            }.items()
            if possible
        ]
