"""All reads of feeds. A feed shows only cards that are public now, the reader's own included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import BooleanField, QuerySet
from django.db.models.expressions import RawSQL

from accounts.models import Follow, User
from accounts.queries import follower_ranges, with_more_followers
from api.pagination import FIRST_ID, LAST_ID
from cards.events import ImportBatchAdded
from cards.models import Card, Collection, CollectionCard
from cards.queries import public, public_cards, with_cards, with_representation
from eventbook import KeyRange, Recorded

# SQL condition: the reader follows the curator `{0}`, who is active. Evaluated for each entry of a
# page; a join would read all follows of the reader first.
FOLLOWED = """
    (SELECT followed_id FROM accounts_follow
     WHERE follower_id = %s AND followed_id = {0}) IS NOT NULL
    AND (SELECT is_active FROM accounts_user WHERE id = {0})
"""
# SQL condition: the card is on the page, from the timeline or from a merged curator's library.
MERGED_PAGE = f"""
    cards_card.id = ANY (ARRAY(
        SELECT id FROM (
            (
                SELECT card.id
                FROM feeds_timelineentry entry JOIN cards_card card ON card.id = entry.card_id
                WHERE entry.owner_id = %s AND entry.card_id {{comparison}} %s
                  AND card.visibility = 'PUBLIC' AND {FOLLOWED.format("card.curator_id")}
                ORDER BY entry.card_id {{order}} LIMIT %s
            ) UNION (
                SELECT card.id
                FROM feeds_mergedcurator merged CROSS JOIN LATERAL (
                    SELECT id FROM cards_card
                    WHERE curator_id = merged.curator_id AND visibility = 'PUBLIC'
                      AND id {{comparison}} %s AND id >= coalesce((
                          SELECT card_id FROM feeds_timelineentry WHERE owner_id = %s
                          ORDER BY card_id DESC OFFSET %s LIMIT 1
                      ), '{FIRST_ID}')
                    ORDER BY id {{order}} LIMIT %s
                ) card
                WHERE {FOLLOWED.format("merged.curator_id")}
            )
        ) found ORDER BY id {{order}} LIMIT %s
    ))
"""  # noqa: S608 - put together from constants
PAGE = {
    True: MERGED_PAGE.format(comparison="<", order="DESC"),
    False: MERGED_PAGE.format(comparison=">", order="ASC"),
}


def public_feed(**filters: Any) -> QuerySet[Card]:
    """Return the public cards that match the filters."""
    return with_representation(public_cards().filter(**filters))


def following_page(
    user: User, after: UUID | None, *, descending: bool, limit: int
) -> QuerySet[Card]:
    """Return a page of public cards of the curators whom the user follows now.

    The page begins after the card id `after`. Cards come from the user's timeline and from the
    libraries of merged curators (feeds/models.py), as far back as the timeline goes. Both have an
    index in page order, so the cost depends only on the length of the page.
    """
    reader, after = user.pk, after or (LAST_ID if descending else FIRST_ID)
    last = settings.FEED_LENGTH - 1
    timeline, merged = [reader, after, reader, limit], [after, reader, last, limit, reader]
    page = RawSQL(  # noqa: S611 - constants
        PAGE[descending], [*timeline, *merged, limit], output_field=BooleanField()
    )
    return with_representation(Card.objects.filter(page)).order_by("-id" if descending else "id")


def split_imported(events: Sequence[Recorded[ImportBatchAdded]]) -> dict[UUID, list[KeyRange]]:
    """Return the ranges of follower ids into which to split the fan-out of imported cards.

    The keys are event ids. Batches with few entries to write are not split, nor those of merged
    curators (feeds/models.py).
    """
    curators = {recorded.event.curator_id for recorded in events}
    merged = with_more_followers(curators, than=settings.FAN_OUT_RANGE)
    split: dict[UUID, list[KeyRange]] = {}
    for recorded in events:
        if (curator := recorded.event.curator_id) not in merged:
            ranges = follower_ranges({curator}, cards=len(recorded.event.card_ids))
            if curator in ranges:
                split[recorded.id] = ranges[curator]
    return split


def follows_between(readers: set[int], curators: set[int]) -> set[tuple[int, int]]:
    """Return the pairs (reader, curator) in which the reader follows the curator now."""
    follows = Follow.objects.filter(follower__in=readers, followed__in=curators)
    return set(follows.values_list("follower_id", "followed_id"))


def collection_feed(collection: Collection) -> QuerySet[CollectionCard]:
    """Return the places of a collection's public cards, with their cards loaded."""
    shown = public(by="curator", at="card__")
    return with_cards(CollectionCard.objects.filter(shown, collection=collection))
