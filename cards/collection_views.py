from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.authentication import person
from accounts.models import User
from api.objects import ObjectView
from api.views import APIView, ListAPIView
from cards import queries, services
from cards.models import Card, Collection, CollectionCard
from cards.serializers import (
    CardSerializer,
    CollectionSerializer,
    PlacedCardSerializer,
    PlaceInputSerializer,
)
from cards.services import rules

NOT_YOURS = "Only the owner of a collection may change or remove it, or its cards."


class Collections(ListAPIView[Collection]):
    """List your collections, newest first."""

    location = ("collection", "id")

    queryset = Collection.objects.none()
    serializer_class = CollectionSerializer

    def get_queryset(self) -> QuerySet[Collection]:
        """Return the user's own collections."""
        return queries.own_collections(person(self.request))

    @extend_schema(request=CollectionSerializer, responses={201: CollectionSerializer})
    def post(self, request: Request) -> Response:
        """Create a collection."""
        fields = CollectionSerializer.checked(request.data)
        collection = services.create_collection(owner=person(request), **fields)
        return Response(CollectionSerializer(collection).data, status=201)


class CollectionDetail(ObjectView):
    """One collection."""

    model, key = Collection, "collection_id"

    @extend_schema(responses=CollectionSerializer)
    def get(self, request: Request, collection_id: UUID) -> Response:
        """Read a collection."""
        return Response(CollectionSerializer(visible_collection(request, collection_id)).data)

    @extend_schema(request=CollectionSerializer, responses=CollectionSerializer)
    def patch(self, request: Request, collection_id: UUID) -> Response:
        """Change a collection of yours."""
        collection = own_collection(request, collection_id)
        changes = CollectionSerializer.checked(request.data, partial=True)
        changed = services.update_collection(collection=collection, **changes)
        return Response(CollectionSerializer(changed).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, collection_id: UUID) -> Response:
        """Remove a collection of yours; its cards stay in their libraries."""
        services.remove_collection(collection=own_collection(request, collection_id))
        return Response(status=204)


class CollectionCards(ListAPIView[Any]):
    """The cards in a collection, most recently added first."""

    location = ("card", "id")

    queryset = CollectionCard.objects.none()
    serializer_class = PlacedCardSerializer

    def get_queryset(self) -> QuerySet[CollectionCard]:
        """Return the collection's places whose cards the user may see."""
        collection = visible_collection(self.request, self.kwargs["collection_id"])
        return queries.places_in(collection, viewer=person(self.request))

    @extend_schema(responses=CardSerializer(many=True))
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the cards in a collection, most recently added first."""
        return super().get(request, *args, **kwargs)

    @extend_schema(
        request=PlaceInputSerializer, responses={200: CardSerializer, 201: CardSerializer}
    )
    def post(self, request: Request, collection_id: UUID) -> Response:
        """Add a card to a collection of yours: 201 if it is new there, 200 if not."""
        collection = own_collection(request, collection_id)
        card = self._card(request, PlaceInputSerializer.checked(request.data)["card"])
        added = services.add_card_to_collection(
            collection=collection, card=card, added_by=person(request)
        )
        return Response(CardSerializer(card).data, status=201 if added else 200)

    @classmethod
    def may_see(cls, viewer: User, created: Any) -> bool:
        """Return whether to repeat a stored response: only if the user may still see its card.

        Asked when a POST is sent again with the same `Idempotency-Key`.
        """
        return queries.visible_cards(viewer).filter(pk=created["id"]).exists()

    def _card(self, request: Request, card_id: UUID) -> Card:
        """Return the card to add; raise ValidationError if the user may not see it."""
        viewer = person(request)
        cards = queries.with_representation(queries.visible_cards(viewer), viewer=viewer)
        card = cards.filter(pk=card_id).first()
        if card is None:
            raise ValidationError({"card": [rules.UNKNOWN_CARD]}, code="does_not_exist")
        return card


class CollectionCardDetail(APIView):
    """One card's place in a collection."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, collection_id: UUID, card_id: UUID) -> Response:
        """Remove a card from a collection of yours; the card stays in its library."""
        services.remove_card_from_collection(
            collection=own_collection(request, collection_id),
            card=Card(pk=card_id),
            removed_by=person(request),
        )
        return Response(status=204)


def visible_collection(request: Request, collection_id: UUID) -> Collection:
    """Return a collection that the user may see; respond 404 otherwise."""
    return get_object_or_404(queries.visible_collections(person(request)), pk=collection_id)


def own_collection(request: Request, collection_id: UUID) -> Collection:
    """Return the user's own collection; respond 403 for one that the user may only see."""
    collection = visible_collection(request, collection_id)
    if collection.owner_id != person(request).pk:
        raise PermissionDenied(NOT_YOURS)
    return collection
