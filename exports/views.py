from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.authentication import person
from api.downloads import NoNegotiation, file_response
from api.views import APIView
from cards import queries
from cards.filters import CardFilterSerializer
from exports.entries import Selection
from exports.formats import FORMATS


class ExportQuerySerializer(CardFilterSerializer):
    """The format of an export, and its cards."""

    format = serializers.ChoiceField(list(FORMATS))
    collection = serializers.UUIDField(
        required=False, help_text="Only cards of this collection, not your whole library."
    )


class Exports(APIView):
    """Download a library, a collection, or matching cards of either."""

    content_negotiation_class = NoNegotiation
    query_serializer = ExportQuerySerializer
    other_errors = frozenset({"429"})

    @extend_schema(
        responses={
            (200, known.type): OpenApiTypes.ANY if "json" in known.type else OpenApiTypes.STR
            for known in FORMATS.values()
        },
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        """Download cards as a file, streamed while it is generated.

        `json` holds the whole library. The other formats hold what they can; of these, only `csv`
        includes notes, which have no address.
        """
        known = FORMATS[self.query["format"]]
        selection = selection_of(request, self.query)
        name = f"commonplace-{timezone.now():%Y-%m-%d}.{known.suffix}"
        return file_response(
            known.write(selection), name=name, type=known.type, reader_id=selection.viewer.pk
        )


def selection_of(request: Request, wanted: Mapping[str, Any]) -> Selection:
    """Return the selection of the query parameters.

    Raise ValidationError if the user may not see the collection.
    """
    viewer, collection = person(request), None
    cards = queries.own_cards(viewer)
    if id := wanted.get("collection"):
        collection = queries.visible_collections(viewer).filter(pk=id).first()
        if collection is None:
            raise ValidationError(
                {"collection": queries.NO_VISIBLE_COLLECTION}, code="does_not_exist"
            )
        cards = queries.visible_cards(viewer).filter(places__collection=collection)
    filters = {name: wanted[name] for name in ("q", "type", "visibility") if name in wanted}
    return Selection(viewer, queries.matching(cards, **filters), collection)
