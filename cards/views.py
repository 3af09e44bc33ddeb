from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from api.objects import ObjectView
from api.views import APIView
from cards import queries, services
from cards.bulk import add_in_bulk
from cards.filters import CardList, LibraryQuerySerializer, PageQuerySerializer
from cards.models import Card
from cards.serializers import (
    BulkInputSerializer,
    BulkResultsSerializer,
    CardContentSerializer,
    CardInputSerializer,
    CardSerializer,
    card_input,
)

NOT_YOURS = "Only its curator may change or remove a card."


class Library(CardList):
    """List your cards, newest first."""

    query_serializer = LibraryQuerySerializer
    location = ("card", "id")

    def get_queryset(self) -> QuerySet[Card]:
        """Return the user's cards that match the query parameters."""
        found = queries.library(person(self.request), **self.query)
        return queries.with_representation(found, viewer=person(self.request))

    @extend_schema(
        request=CardInputSerializer, responses={200: CardSerializer, 201: CardSerializer}
    )
    def post(self, request: Request) -> Response:
        """Add a card: 201, or 200 with the existing card if you have saved its page before."""
        card = card_input().run_validation(request.data)
        added, created = services.add_card(curator=person(request), **card)
        return Response(CardSerializer(added).data, status=201 if created else 200)


class CardDetail(ObjectView):
    """One card."""

    model, key = Card, "card_id"

    def lock(self, request: Request, **kwargs: Any) -> None:
        """Lock the card; before a change of its parent, all parents, as `update_card` does."""
        if isinstance(request.data, Mapping) and request.data.get("parent"):
            services.lock_parents()
        super().lock(request, **kwargs)

    @extend_schema(responses=CardSerializer)
    def get(self, request: Request, card_id: UUID) -> Response:
        """Read a card."""
        return Response(CardSerializer(visible_card(request, card_id)).data)

    @extend_schema(request=CardContentSerializer, responses=CardSerializer)
    def patch(self, request: Request, card_id: UUID) -> Response:
        """Change a card of yours."""
        card = own_card(request, card_id)
        changes = CardContentSerializer.checked(request.data, partial=True)
        changed = services.update_card(card=card, **changes)
        return Response(CardSerializer(changed).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, card_id: UUID) -> Response:
        """Remove a card of yours, from its collections too."""
        services.remove_card(card=own_card(request, card_id))
        return Response(status=204)


class BulkAdd(APIView):
    """Add many cards in one request."""

    other_errors = frozenset({"429"})

    @extend_schema(request=BulkInputSerializer, responses={201: BulkResultsSerializer})
    def post(self, request: Request) -> Response:
        """Add up to 1,000 cards; invalid cards do not stop the others.

        429 means that too much bulk work is waiting: send the request again after `Retry-After`.
        """
        results = add_in_bulk(curator=person(request), data=request.data)
        return Response({"results": results}, status=201)


class CardsAbout(CardList):
    """List the cards of all curators about a page, in every spelling of its address."""

    query_serializer = PageQuerySerializer

    def get_queryset(self) -> QuerySet[Card]:
        """Return the visible cards about the page in the parameter `url`."""
        cards = queries.cards_about(self.query["url"], viewer=person(self.request))
        return queries.with_representation(cards, viewer=person(self.request))


class SamePage(CardList):
    """List the cards about the same page as a card, newest first."""

    def get_queryset(self) -> QuerySet[Card]:
        """Return the visible cards about the card's page."""
        card = visible_card(self.request, self.kwargs["card_id"])
        cards = queries.cards_like(card.pk, viewer=person(self.request))
        return queries.with_representation(cards, viewer=person(self.request))


def visible_card(request: Request, card_id: UUID) -> Card:
    """Return a card that the user may see; respond 404 otherwise."""
    viewer = person(request)
    cards = queries.with_representation(queries.visible_cards(viewer), viewer=viewer)
    return get_object_or_404(cards, pk=card_id)


def own_card(request: Request, card_id: UUID) -> Card:
    """Return the user's own card; respond 403 for one that the user may only see."""
    card = visible_card(request, card_id)
    if card.curator_id != person(request).pk:
        raise PermissionDenied(NOT_YOURS)
    return card
