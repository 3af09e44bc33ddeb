"""Every write of notifications.

The statements take a whole batch of events as arrays, so that their number does not depend on the
batch. Rows are inserted in the order of their key where two batches may meet: they cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone

from accounts.models import User
from events.envelope import FEW, KeyRange, is_large, span
from events.sql import insert_new
from notifications.models import Kind, Notification
from notifications.queries import visible_notifications

# Only those who had saved the page before are told ("before" by the order of card ids, which
# never changes), and only those who followed when it happened: so the answer is the same whenever
# the event is delivered. Who has both reasons is told of the one that was asked for.
CARD_ADDED = """
    WITH {found} added AS (
        SELECT batch.event_id, batch.time, batch.card_id, batch.first, batch.after,
               card.curator_id, card.url_id
        FROM {batch}
        JOIN cards_card card ON card.id = batch.card_id AND card.visibility = 'PUBLIC'
    ), told AS (
        SELECT follow.follower_id AS recipient_id, event_id, time, card_id, curator_id,
               %(asked)s::text AS kind
        FROM added {follower}
        UNION ALL
        SELECT saved.curator_id, event_id, time, card_id, added.curator_id, %(saved)s::text
        FROM added JOIN cards_card saved ON saved.url_id = added.url_id
        WHERE saved.curator_id <> added.curator_id AND saved.id < added.card_id
          AND saved.curator_id >= added.first AND saved.curator_id < added.after
          {unless}
    )
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, card_id, created_at)
    SELECT {once} recipient_id, event_id, kind, curator_id, card_id, time FROM told {order}
    ON CONFLICT DO NOTHING
"""
BATCH = """
    unnest(%(events)s::uuid[], %(times)s::timestamptz[], %(cards)s::uuid[],
           %(firsts)s::bigint[], %(afters)s::bigint[])
        AS batch (event_id, time, card_id, first, after)
"""
# For many events, the followers are found first, by values that the planner sees (as in
# feeds/statements.py).
FOLLOWERS = """
    follower AS MATERIALIZED (
        SELECT followed_id, follower_id, created_at FROM accounts_follow
        WHERE followed_id = ANY(%(curators)s::bigint[]) AND notify
          AND follower_id >= %(lowest)s::bigint AND follower_id < %(highest)s::bigint
    ),
"""
FOLLOWER = """
    JOIN follower follow
      ON follow.followed_id = added.curator_id AND follow.created_at <= added.time
     AND follow.follower_id >= added.first AND follow.follower_id < added.after
"""
MANY_EVENTS = {
    "found": FOLLOWERS,
    "follower": FOLLOWER,
    "unless": "",
    "once": "DISTINCT ON (recipient_id, event_id)",
    "order": "ORDER BY recipient_id, event_id, kind <> %(asked)s::text",
}
# For few events, card by card, as an index has the followers: to sort very many takes as long as to
# find them. Nobody else has rows of these events in hand, so there is nothing to deadlock with.
EACH_FOLLOWER = """
    CROSS JOIN LATERAL (
        SELECT follower_id FROM accounts_follow
        WHERE followed_id = added.curator_id AND notify AND created_at <= added.time
          AND follower_id >= added.first AND follower_id < added.after
        OFFSET 0
    ) follow
"""
NO_FOLLOWER = """
    AND NOT EXISTS (
        SELECT FROM accounts_follow
        WHERE followed_id = added.curator_id AND follower_id = saved.curator_id
          AND notify AND created_at <= added.time
    )
"""
FEW_EVENTS = {
    "found": "",
    "follower": EACH_FOLLOWER,
    "unless": NO_FOLLOWER,
    "once": "",
    "order": "",
}
REASONS = {"asked": Kind.CARD_ADDED.value, "saved": Kind.PAGE_SAVED.value}
CARD_ADDED_FEW = CARD_ADDED.format(batch=BATCH, **FEW_EVENTS)
CARD_ADDED_MANY = CARD_ADDED.format(batch=BATCH, **MANY_EVENTS)
CARD_ADDED_CLAIMED = CARD_ADDED.format(batch="claimed AS batch", **FEW_EVENTS)
FOLLOWED = """
    INSERT INTO notifications_notification (recipient_id, event_id, kind, actor_id, created_at)
    SELECT followed.id, batch.event_id, %s, follower.id, batch.time
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::bigint[], %s::bigint[])
         AS batch (event_id, time, follower_id, followed_id)
    JOIN accounts_user follower ON follower.id = batch.follower_id
    JOIN accounts_user followed ON followed.id = batch.followed_id
    ORDER BY followed.id, batch.event_id
    ON CONFLICT DO NOTHING
"""
# Whoever follows once the cards are there finds them in the feed.
IMPORTED = """
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, created_at, count)
    SELECT follow.follower_id, batch.event_id, %s, batch.curator_id, batch.time, batch.count
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::bigint[], %s::int[], %s::bigint[], %s::bigint[])
         AS batch (event_id, time, curator_id, count, first, after)
    JOIN accounts_follow follow
      ON follow.followed_id = batch.curator_id AND follow.notify
     AND follow.created_at <= batch.time
     AND follow.follower_id >= batch.first AND follow.follower_id < batch.after
    ORDER BY follow.follower_id, batch.event_id
    ON CONFLICT DO NOTHING
"""
# A private collection tells nobody, nor does anyone hear of an own act.
COLLECTED = """
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, card_id, collection_id, created_at)
    SELECT card.curator_id, batch.event_id, %s, batch.added_by_id, card.id, collection.id,
           batch.time
    FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[], %s::uuid[], %s::bigint[])
         AS batch (event_id, time, collection_id, card_id, added_by_id)
    JOIN cards_collection collection
      ON collection.id = batch.collection_id AND collection.visibility = 'PUBLIC'
    JOIN cards_card card ON card.id = batch.card_id AND card.curator_id <> batch.added_by_id
    ORDER BY card.curator_id, batch.event_id
    ON CONFLICT DO NOTHING
"""
# Whoever inserted a notification saw all that it names committed. So what is missing from a later
# snapshot is gone for good, and no lock is needed.
PRUNE_ORPHANS = """
    DELETE FROM notifications_notification USING (
        SELECT recipient_id, event_id
        FROM notifications_notification notification
        LEFT JOIN accounts_user recipient ON recipient.id = notification.recipient_id
        LEFT JOIN accounts_user actor ON actor.id = notification.actor_id
        LEFT JOIN cards_card card ON card.id = notification.card_id
        LEFT JOIN cards_collection collection ON collection.id = notification.collection_id
        WHERE recipient.id IS NULL
           OR actor.id IS NULL
           OR (notification.card_id IS NOT NULL AND card.id IS NULL)
           OR (notification.collection_id IS NOT NULL AND collection.id IS NULL)
    ) orphan
    WHERE notifications_notification.recipient_id = orphan.recipient_id
      AND notifications_notification.event_id = orphan.event_id
"""


def notify_of_added_cards(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    card_ids: Sequence[UUID],
    curator_ids: Sequence[int],
    recipients: Sequence[KeyRange],
) -> int:
    """This tells those who saved the same page before, and followers who asked for it."""
    lowest, highest = span(recipients)
    batch: dict[str, Any] = {
        "events": list(event_ids),
        "times": list(times),
        "cards": list(card_ids),
        "curators": list(curator_ids),
        "firsts": [keys.first for keys in recipients],
        "afters": [keys.after for keys in recipients],
        # As texts: SQL reads the lowest number of all as a minus and a number that is too large.
        "lowest": str(lowest),
        "highest": str(highest),
    } | REASONS
    statement = CARD_ADDED_MANY if len(event_ids) > FEW else CARD_ADDED_FEW
    return insert_new(statement, batch, many=is_large(recipients))


def notify_of_imports(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    curator_ids: Sequence[int],
    counts: Sequence[int],
    recipients: Sequence[KeyRange],
) -> int:
    """This tells followers who asked for it how many cards somebody imported."""
    columns = (list(event_ids), list(times), list(curator_ids), list(counts))
    firsts, afters = [keys.first for keys in recipients], [keys.after for keys in recipients]
    return _execute(IMPORTED, Kind.IMPORTED.value, *columns, firsts, afters)


def notify_of_follows(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    follower_ids: Sequence[int],
    followed_ids: Sequence[int],
) -> int:
    """This tells people who follows them now."""
    columns = (list(event_ids), list(times), list(follower_ids), list(followed_ids))
    return _execute(FOLLOWED, Kind.FOLLOWED.value, *columns)


def notify_of_collected_cards(
    *,
    event_ids: Sequence[UUID],
    times: Sequence[datetime],
    collection_ids: Sequence[UUID],
    card_ids: Sequence[UUID],
    added_by_ids: Sequence[int],
) -> int:
    """This tells curators whose cards others added to public collections."""
    columns = (list(event_ids), list(times), list(collection_ids), list(card_ids))
    return _execute(COLLECTED, Kind.COLLECTED.value, *columns, list(added_by_ids))


def mark_read(*, recipient: User, ids: Collection[UUID] | None = None) -> int:
    """This marks the recipient's unread notifications of these events, or all, as read.

    It touches only what the recipient can see, so that its count agrees with the unread count.
    """
    seen = visible_notifications(recipient).filter(read_at=None)
    if ids is not None:
        seen = seen.filter(event_id__in=ids)
    unread = Notification.objects.filter(recipient=recipient, read_at=None)
    return unread.filter(event_id__in=seen.values("event_id")).update(read_at=timezone.now())


def prune_orphans() -> int:
    """This deletes notifications whose recipient, actor, card or collection is gone."""
    return _execute(PRUNE_ORPHANS)


def _execute(statement: str, *parameters: Any, **named: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, named or parameters)
        return int(cursor.rowcount)
