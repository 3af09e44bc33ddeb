"""The SQL of notifications. Each statement works on a whole batch of events, passed as arrays.

Where two batches may write the same rows, rows are inserted in key order to prevent deadlocks.
"""

from __future__ import annotations

from eventbook.database import first_id_in_sql
from notifications.models import Kind

KINDS = {"card_added": Kind.CARD_ADDED.value, "page_saved": Kind.PAGE_SAVED.value}
# Of two users who saved a page, the one with the earlier card is notified of the later card. Ids
# are created before the commit, so the later card can be committed and delivered first. Therefore
# the delivery of either card writes this notification if it sees both cards, and the second
# delivery always does. Both write the same key, so there is one row, whatever the order
# (docs/adr/0049). A card that was saved as private, or is private now, notifies nobody.
PAIRS = """
    added AS (
        SELECT batch.event_id, batch.time, batch.card_id, batch.first, batch.after,
               card.curator_id, card.url_id,
               card.visibility = 'PUBLIC' AND batch.visibility = 'PUBLIC' AS is_public
        FROM {batch} JOIN cards_card card ON card.id = batch.card_id
    ), meeting AS MATERIALIZED (
        SELECT added.*, saved.id AS other_id, saved.curator_id AS other_curator_id,
               saved.visibility AS other_visibility
        FROM added JOIN cards_card saved ON saved.url_id = added.url_id
        WHERE saved.curator_id <> added.curator_id
    ), pair AS (
        SELECT other_curator_id AS recipient_id, event_id, curator_id, card_id, time
        FROM meeting added
        WHERE is_public AND other_id < card_id
          AND other_curator_id >= first AND other_curator_id < after
          {condition}
        UNION ALL
        SELECT curator_id, later.event_id, other_curator_id, other_id, later.recorded_at
        FROM meeting added CROSS JOIN LATERAL (
            SELECT event.id AS event_id, recorded_at FROM eventbook_event event
            WHERE subject = 'cards/' || other_id AND type = 'card.added'
              AND data ->> 'visibility' = 'PUBLIC' AND NOT EXISTS (
                  SELECT FROM accounts_follow
                  WHERE followed_id = other_curator_id AND follower_id = curator_id
                    AND notify AND created_at <= recorded_at
              )
            OFFSET 0
        ) later
        WHERE other_visibility = 'PUBLIC' AND other_id > card_id
          AND curator_id >= first AND curator_id < after
    )
"""
BATCH = """
    unnest(%(events)s::uuid[], %(times)s::timestamptz[], %(cards)s::uuid[],
           %(visibilities)s::text[], %(firsts)s::bigint[], %(afters)s::bigint[])
        AS batch (event_id, time, card_id, visibility, first, after)
"""
# A user with both reasons gets only the follower's notification.
NO_FOLLOWER = """
    AND NOT EXISTS (
        SELECT FROM accounts_follow
        WHERE followed_id = added.curator_id AND follower_id = other_curator_id
          AND notify AND created_at <= added.time
    )
"""


def card_added_few(batch: str) -> str:
    """Return the statement that notifies of a few added cards.

    It looks up the followers of each card in index order, and inserts them in that order: sorting
    very many rows takes as long as finding them. Only ADDED_MEANWHILE may write the same rows. A
    deadlock with it is possible but rare, and the batch is then repeated. Pairs are sorted, because
    two batches often write the same ones.
    """
    return f"""
        WITH {PAIRS.format(batch=batch, condition=NO_FOLLOWER)}
        INSERT INTO notifications_notification
            (recipient_id, event_id, kind, actor_id, card_id, created_at)
        SELECT follow.follower_id, event_id, %(card_added)s::text, curator_id, card_id, time
        FROM added CROSS JOIN LATERAL (
            SELECT follower_id FROM accounts_follow
            WHERE followed_id = added.curator_id AND notify AND created_at <= added.time
              AND follower_id >= added.first AND follower_id < added.after
            OFFSET 0
        ) follow
        WHERE is_public
        UNION ALL
        (SELECT recipient_id, event_id, %(page_saved)s::text, curator_id, card_id, time
         FROM pair ORDER BY recipient_id, event_id)
        ON CONFLICT DO NOTHING
    """  # noqa: S608 - put together from constants


CARD_ADDED_FEW = card_added_few(BATCH)
# For a handler's `statement`, which provides the table `claimed` (eventbook.Statement).
CARD_ADDED_CLAIMED = card_added_few("claimed AS batch")
# Finds all followers first, for the reason given in feeds/statements.py, and sorts all rows. A user
# with both reasons gets only the follower's notification. A row that the other card's delivery has
# written would make the whole batch fail (insert_batch).
CARD_ADDED_MANY = f"""
    WITH follower AS MATERIALIZED (
        SELECT followed_id, follower_id, created_at FROM accounts_follow
        WHERE followed_id = ANY(%(curators)s::bigint[]) AND notify
          AND follower_id >= %(lowest)s::bigint AND follower_id < %(highest)s::bigint
    ), {PAIRS.format(batch=BATCH, condition="")}
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, card_id, created_at)
    SELECT DISTINCT ON (recipient_id, event_id)
           recipient_id, event_id, kind, curator_id, card_id, time
    FROM (
        SELECT follow.follower_id AS recipient_id, event_id, %(card_added)s::text AS kind,
               curator_id, card_id, time
        FROM added JOIN follower follow
          ON follow.followed_id = added.curator_id AND follow.created_at <= added.time
         AND follow.follower_id >= added.first AND follow.follower_id < added.after
        WHERE is_public
        UNION ALL
        SELECT recipient_id, event_id, %(page_saved)s::text, curator_id, card_id, time
        FROM pair
        WHERE NOT EXISTS (
            SELECT FROM notifications_notification written
            WHERE written.recipient_id = pair.recipient_id AND written.event_id = pair.event_id
        )
    ) due
    ORDER BY recipient_id, event_id, kind <> %(card_added)s::text
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants
# One notification per pair of users, however often one follows the other; inserted in pair order.
FOLLOWED = """
    INSERT INTO notifications_notification (recipient_id, event_id, kind, actor_id, created_at)
    SELECT followed.id, batch.event_id, %(kind)s, follower.id, batch.time
    FROM unnest(%(events)s::uuid[], %(times)s::timestamptz[], %(followers)s::bigint[],
                %(followed)s::bigint[])
         AS batch (event_id, time, follower_id, followed_id)
    JOIN accounts_user follower ON follower.id = batch.follower_id
    JOIN accounts_user followed ON followed.id = batch.followed_id
    ORDER BY followed.id, follower.id, batch.event_id
    ON CONFLICT DO NOTHING
"""
# Finds cards recorded after a follow, whose delivery may not have seen the follow. The bounds on
# card ids allow for inexact clocks of web servers, and for a follow that commits late. No
# transaction lasts an hour.
ADDED_MEANWHILE = f"""
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, card_id, created_at)
    SELECT follow.follower_id, added.event_id, %(kind)s, follow.followed_id, card.id,
           added.recorded_at
    FROM (
        SELECT DISTINCT follower_id, followed_id
        FROM unnest(%(followers)s::bigint[], %(followed)s::bigint[])
             AS batch (follower_id, followed_id)
    ) AS batch
    JOIN accounts_follow follow USING (follower_id, followed_id)
    CROSS JOIN LATERAL (
        SELECT id FROM cards_card
        WHERE curator_id = follow.followed_id AND visibility = 'PUBLIC'
          AND id >= {first_id_in_sql("follow.created_at - interval '10 minutes'")}
          AND id < {first_id_in_sql("follow.created_at + interval '1 hour'")}
        OFFSET 0
    ) card
    CROSS JOIN LATERAL (
        SELECT event.id AS event_id, recorded_at FROM eventbook_event event
        WHERE subject = 'cards/' || card.id AND type = 'card.added'
          AND data ->> 'visibility' = 'PUBLIC' AND recorded_at >= follow.created_at
        OFFSET 0
    ) added
    WHERE follow.notify
    ORDER BY follow.follower_id, added.event_id
    ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants
# Users who follow after the import find its cards in the feed, and are not notified.
IMPORTED = """
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, created_at, count)
    SELECT follow.follower_id, batch.event_id, %(kind)s, batch.curator_id, batch.time, batch.count
    FROM unnest(%(events)s::uuid[], %(times)s::timestamptz[], %(curators)s::bigint[],
                %(counts)s::int[], %(firsts)s::bigint[], %(afters)s::bigint[])
         AS batch (event_id, time, curator_id, count, first, after)
    JOIN accounts_follow follow
      ON follow.followed_id = batch.curator_id AND follow.notify
     AND follow.created_at <= batch.time
     AND follow.follower_id >= batch.first AND follow.follower_id < batch.after
    ORDER BY follow.follower_id, batch.event_id
    ON CONFLICT DO NOTHING
"""
# Private collections notify nobody, and nobody is notified of their own action.
COLLECTED = """
    INSERT INTO notifications_notification
        (recipient_id, event_id, kind, actor_id, card_id, collection_id, created_at)
    SELECT card.curator_id, batch.event_id, %(kind)s, batch.added_by_id, card.id, collection.id,
           batch.time
    FROM unnest(%(events)s::uuid[], %(times)s::timestamptz[], %(collections)s::uuid[],
                %(cards)s::uuid[], %(added_by)s::bigint[])
         AS batch (event_id, time, collection_id, card_id, added_by_id)
    JOIN cards_collection collection
      ON collection.id = batch.collection_id AND collection.visibility = 'PUBLIC'
    JOIN cards_card card ON card.id = batch.card_id AND card.curator_id <> batch.added_by_id
    ORDER BY card.curator_id, batch.event_id
    ON CONFLICT DO NOTHING
"""
LOCK_RECIPIENT = "SELECT pg_advisory_xact_lock(%s, %s)"
# A notification is inserted only after its users, card and collection were committed. A row that
# is missing now is therefore deleted for good, and no lock is needed.
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
