"""All reads of users and follows."""

from __future__ import annotations

from collections.abc import Collection
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.db.models import CASCADE, Count, Exists, OuterRef, QuerySet, Subquery
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, Lower

from accounts.models import Follow, User
from accounts.names import lookup_form
from eventbook import KeyRange
from eventbook.database import execute


def users() -> QuerySet[User]:
    """Return the users whom others can see: the active ones."""
    return User.objects.filter(is_active=True)


def user_named(username: str) -> QuerySet[User]:
    """Return the visible user of this name in any spelling."""
    return users().alias(name=Lower("username")).filter(name=lookup_form(username))


def profiles(*, viewer: User) -> QuerySet[User]:
    """Return the visible users, with counts of follows, and whether the viewer follows each."""
    return users().annotate(
        followers_count=_count("followed", others="follower"),
        following_count=_count("follower", others="followed"),
        followed_by_me=Exists(Follow.objects.filter(follower=viewer, followed=OuterRef("pk"))),
    )


def profile_named(username: str, *, viewer: User) -> QuerySet[User]:
    """Return the profile of the user with this name in any spelling."""
    return profiles(viewer=viewer).alias(name=Lower("username")).filter(name=lookup_form(username))


def followers_of(user: User) -> QuerySet[Follow]:
    """Return the follows by which active users follow this user."""
    return Follow.objects.filter(followed=user, follower__is_active=True).select_related("follower")


def followed_by(user: User) -> QuerySet[Follow]:
    """Return the follows of this user, except those of inactive people."""
    return Follow.objects.filter(follower=user, followed__is_active=True).select_related("followed")


def owned_rows(person: User) -> dict[str, int]:
    """Return the number of rows of each model that would be deleted with a person, by its name."""
    found: dict[str, int] = {}
    for relation in User._meta.related_objects:  # noqa: SLF001
        rows = relation.related_model._default_manager.filter(**{relation.field.name: person})  # noqa: SLF001
        if relation.on_delete is CASCADE and (count := rows.count()):
            name = str(relation.related_model._meta.verbose_name_plural)  # noqa: SLF001
            found[name] = found.get(name, 0) + count
    return found


def _count(side: str, *, others: str) -> CombinedExpression:
    """Return an expression that counts the visible people at the other end of a person's follows.

    `side` is the person's field in Follow, `others` the other one. Count all follows, and subtract
    those of inactive people, who are few: a join would read a million followers one by one.
    """
    hidden = {f"{others}__in": User.objects.filter(is_active=False).values("pk")}
    return _count_of(side) - _count_of(side, **hidden)


def _count_of(side: str, **filters: Any) -> Coalesce:
    """Return an expression that counts a person's follows that match the filters."""
    counted = (
        Follow.objects.filter(**{side: OuterRef("pk")}, **filters)
        .order_by()
        .values(side)
        .annotate(count=Count("pk"))
        .values("count")
    )
    return Coalesce(Subquery(counted), 0)


# Stops after OFFSET + 1 entries of the index, while a count would read all followers. The ORDER BY
# makes PostgreSQL use that index.
MORE_FOLLOWERS = """
    EXISTS (
        SELECT FROM accounts_follow WHERE followed_id = {} ORDER BY follower_id OFFSET {}
    )
"""
MANY_FOLLOWERS = f"""
    SELECT person FROM unnest(%s::bigint[]) AS person WHERE {MORE_FOLLOWERS.format("person", "%s")}
"""  # noqa: S608 - put together from constants
# Unprepared, so that the planner sees the values, as in feeds/statements.py.
NEXT_RANGE = """
    SELECT follower_id FROM accounts_follow
    WHERE followed_id = %s AND follower_id >= %s::bigint
    ORDER BY follower_id OFFSET %s LIMIT 1
"""


def has_very_many_followers(user: str) -> str:
    """Return an SQL condition: whether a user has more than FAN_OUT_RANGE followers.

    `user` is an SQL expression of the user's id.
    """
    return MORE_FOLLOWERS.format(user, settings.FAN_OUT_RANGE)


def with_more_followers(user_ids: Collection[int], *, than: int) -> set[int]:
    """Return the ids of those users who have more followers than `than`."""
    return {id for (id,) in execute(MANY_FOLLOWERS, [list(user_ids), than]).rows}


def follower_ranges(user_ids: Collection[int], *, cards: int = 1) -> dict[int, list[KeyRange]]:
    """Return ranges of follower ids, by user id, that split a fan-out into several transactions.

    For `cards` cards, each range yields at most FAN_OUT_RANGE rows. Together, a user's ranges cover
    all ids. Users whose whole fan-out is smaller are left out.
    """
    size = settings.FAN_OUT_RANGE // cards or 1
    return {id: _ranges(id, size) for id in with_more_followers(user_ids, than=size)}


def _ranges(user_id: int, size: int) -> list[KeyRange]:
    """Return ranges of follower ids that hold at most `size` followers each and cover all ids."""
    all_keys = KeyRange()
    limits = [all_keys.first]
    while limits[-1] < all_keys.after:
        rows = execute(NEXT_RANGE, [user_id, str(limits[-1]), size], prepare=False).rows
        limits.append(rows[0][0] if rows else all_keys.after)
    return [KeyRange(first, after) for first, after in pairwise(limits)]
