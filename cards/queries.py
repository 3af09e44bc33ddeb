"""Reads of cards and collections; who may see what is decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from accounts.models import User
from accounts.queries import follower_ranges, has_very_many_followers
from cards.events import CardAdded, CardsImported
from cards.models import Card, Collection, CollectionCard, Visibility
from events.envelope import KeyRange, Recorded

UNSEEN = "There is no collection with this id that you can see."


def public_cards() -> QuerySet[Card]:
    """This answers the cards that everybody may see."""
    return Card.objects.filter(visibility=Visibility.PUBLIC)


def visible_cards(user: User) -> QuerySet[Card]:
    """This answers the cards that one person may see: public ones and one's own."""
    return Card.objects.filter(Q(visibility=Visibility.PUBLIC) | Q(curator_id=user.pk))


def own_cards(user: User) -> QuerySet[Card]:
    """This answers a person's library."""
    return Card.objects.filter(curator_id=user.pk)


def library(
    user: User,
    *,
    q: Sequence[str] = (),
    tag: Sequence[str] = (),
    collection: UUID | None = None,
    host: str = "",
    url: str = "",
    **fields: str,
) -> QuerySet[Card]:
    """Return what fits of a person's library; raise ValidationError for an unseen collection.

    `q` has words, each of which is in the title, the text or the address; `url` is canonical.
    `fields` are exact: `type`, `visibility`.
    """
    found = own_cards(user).filter(**fields)
    for word in q:
        found = found.filter(
            Q(title__icontains=word) | Q(text__icontains=word) | Q(link__icontains=word)
        )
    if tag:
        found = found.filter(tags__contains=list(tag))
    if collection:
        # As for one that does not exist: else it would tell what somebody keeps in private.
        if not visible_collections(user).filter(pk=collection).exists():
            raise ValidationError({"collection": ValidationError(UNSEEN, code="does_not_exist")})
        found = found.filter(places__collection_id=collection)
    if host:
        found = found.filter(url__host=host)
    return found.filter(url__canonical=url) if url else found


def cards_about(canonical_url: str, *, viewer: User) -> QuerySet[Card]:
    """This answers all that the viewer may see of what was saved about a page."""
    return visible_cards(viewer).filter(url__canonical=canonical_url)


def cards_like(card_id: UUID, *, viewer: User) -> QuerySet[Card]:
    """This answers the visible cards about the page of a visible card, itself included.

    There are none for a card without an address.
    """
    pages = visible_cards(viewer).filter(pk=card_id).values("url_id")
    return visible_cards(viewer).filter(url_id__in=pages)


def with_representation(cards: QuerySet[Card]) -> QuerySet[Card]:
    """This reads along all that `cards.serializers.CardSerializer` shows: one query in all."""
    return cards.select_related("curator", "url__metadata")


def visible_collections(user: User) -> QuerySet[Collection]:
    """This answers the collections that one person may see: public ones and one's own."""
    return Collection.objects.filter(
        Q(visibility=Visibility.PUBLIC) | Q(owner_id=user.pk)
    ).select_related("owner")


def own_collections(user: User) -> QuerySet[Collection]:
    """This answers a person's collections."""
    return Collection.objects.filter(owner_id=user.pk).select_related("owner")


def places_in(collection: Collection, *, viewer: User) -> QuerySet[CollectionCard]:
    """This answers the places of a collection whose cards the viewer may see."""
    seen = Q(card__visibility=Visibility.PUBLIC) | Q(card__curator_id=viewer.pk)
    places = CollectionCard.objects.filter(seen, collection=collection)
    return places.select_related("card__curator", "card__url__metadata")


# A condition in SQL: nothing that `ranges_of_followers` would split.
FEW_FOLLOWERS = "NOT " + has_very_many_followers("(event.data->>'curator_id')::bigint")


def ranges_of_followers(
    events: Sequence[Recorded[CardAdded | CardsImported]],
) -> dict[UUID, list[KeyRange]]:
    """This answers, for events whose curator has very many followers, ranges of their ids."""
    ranges = follower_ranges({recorded.event.curator_id for recorded in events})
    return {
        recorded.id: ranges[recorded.event.curator_id]
        for recorded in events
        if recorded.event.curator_id in ranges
    }
