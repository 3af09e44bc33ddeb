"""Every read of feeds. A feed shows public cards only, as they are now; one's own included."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from accounts.models import Follow, User
from cards.models import Card, Collection, CollectionCard, Visibility
from cards.queries import public_cards, with_representation

# Through an array, so that the planner starts from the timeline's few entries. Left to itself, it
# walks all cards backwards until enough of them are in the timeline: too long if its authors have
# been silent for a while.
TIMELINE = """
    SELECT unnest(ARRAY(SELECT card_id FROM feeds_timelineentry WHERE owner_id = %s))
"""


def global_feed() -> QuerySet[Card]:
    """This answers everybody's public cards."""
    return with_representation(public_cards())


def following_feed(user: User) -> QuerySet[Card]:
    """This answers the public cards of those the user follows now, as far as the timeline goes.

    The timeline finds them; the card and the follow of this moment decide.
    """
    cards = public_cards().filter(
        id__in=RawSQL(TIMELINE, [user.pk]),  # noqa: S611 - a constant
        curator__in=Follow.objects.filter(follower=user).values("followed_id"),
    )
    return with_representation(cards)


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
