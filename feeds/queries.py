"""Every read of feeds. A feed shows public cards only, as they are now; one's own included."""

from __future__ import annotations

from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from accounts.models import Follow, User
from cards.models import Card, Collection, CollectionCard, Visibility
from cards.queries import public_cards, with_representation
from feeds.models import TimelineEntry


def global_feed() -> QuerySet[Card]:
    """This answers everybody's public cards."""
    return with_representation(public_cards())


def following_feed(user: User) -> QuerySet[TimelineEntry]:
    """This answers the entries, with their cards, of public cards by those the user follows now.

    The timeline finds them, and its key has their order: a page of it reads a page of cards. The
    card and the follow of this moment decide.
    """
    # Asked for each entry of the page. As a join, all that the user follows would be read first.
    follow = Follow.objects.filter(follower=user, followed=OuterRef("card__curator"))
    entries = TimelineEntry.objects.alias(followed=Subquery(follow.values("followed"))).filter(
        owner=user, card__visibility=Visibility.PUBLIC, followed__isnull=False
    )
    return entries.select_related("card__curator", "card__url__metadata")


def feed_cards(ids: set[UUID]) -> QuerySet[Card]:
    """This answers those of these cards that feeds show."""
    return with_representation(public_cards().filter(pk__in=ids))


def follows_between(readers: set[int], curators: set[int]) -> set[tuple[int, int]]:
    """This answers which of these readers follow which of these curators now."""
    follows = Follow.objects.filter(follower__in=readers, followed__in=curators)
    return set(follows.values_list("follower_id", "followed_id"))


def user_feed(curator: User) -> QuerySet[Card]:
    """This answers one curator's public cards."""
    return with_representation(public_cards().filter(curator=curator))


def collection_feed(collection: Collection) -> QuerySet[CollectionCard]:
    """This answers the places of a collection's public cards, with the cards."""
    places = CollectionCard.objects.filter(
        collection=collection, card__visibility=Visibility.PUBLIC
    )
    return places.select_related("card__curator", "card__url__metadata")
