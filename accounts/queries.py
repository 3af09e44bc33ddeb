"""Reads about people."""

from __future__ import annotations

from django.db.models import Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce, Lower

from accounts.models import Follow, User


def users() -> QuerySet[User]:
    """This answers the people whom others can see."""
    return User.objects.filter(is_active=True)


def user_named(username: str) -> QuerySet[User]:
    """This answers the visible user of a name, however it is capitalised."""
    return users().alias(name=Lower("username")).filter(name=username.lower())


def profiles(*, viewer: User) -> QuerySet[User]:
    """This answers the visible people, each with counts and whether the viewer follows them."""
    return users().annotate(
        followers_count=_count("followed"),
        following_count=_count("follower"),
        followed_by_me=Exists(Follow.objects.filter(follower=viewer, followed=OuterRef("pk"))),
    )


def profile_named(username: str, *, viewer: User) -> QuerySet[User]:
    """This answers the profile of a name."""
    return profiles(viewer=viewer).alias(name=Lower("username")).filter(name=username.lower())


def followers_of(user: User) -> QuerySet[Follow]:
    """This answers who follows a person."""
    return Follow.objects.filter(followed=user, follower__is_active=True).select_related("follower")


def followed_by(user: User) -> QuerySet[Follow]:
    """This answers whom a person follows."""
    return Follow.objects.filter(follower=user, followed__is_active=True).select_related("followed")


def _count(side: str) -> Coalesce:
    counted = (
        Follow.objects.filter(**{side: OuterRef("pk")})
        .order_by()
        .values(side)
        .annotate(count=Count("pk"))
        .values("count")
    )
    return Coalesce(Subquery(counted), 0)
