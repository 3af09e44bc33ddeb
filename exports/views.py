from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import Q
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from accounts.authentication import person
from accounts.models import Visibility
from api.downloads import NoNegotiation, file_response
from api.views import APIView, QuerySerializer
from cards import queries
from cards.models import Card
from exports.entries import Selection
from exports.formats import FORMATS


class WantedSerializer(QuerySerializer):
    """The query parameters of an export."""

    format = serializers.ChoiceField(list(FORMATS))
    collection = serializers.UUIDField(
        required=False, help_text="Only cards of this collection, not your whole library."
    )
    q = serializers.CharField(
        required=False,
        max_length=200,
        help_text="Only cards with this text in title, text or address.",
    )
    type = serializers.ChoiceField(Card.Type.choices, required=False)
    visibility = serializers.ChoiceField(Visibility.choices, required=False)


class Exports(APIView):
    """Download a library, a collection, or matching cards of either."""

    content_negotiation_class = NoNegotiation
    query_serializer = WantedSerializer
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
            raise ValidationError({"collection": queries.UNSEEN}, code="does_not_exist")
        cards = queries.visible_cards(viewer).filter(places__collection=collection)
    if text := wanted.get("q"):
        found = Q(title__icontains=text) | Q(text__icontains=text) | Q(link__icontains=text)
        cards = cards.filter(found)
    fields = {name: wanted[name] for name in ("type", "visibility") if name in wanted}
    return Selection(viewer, cards.filter(**fields), collection)
