"""The SQL of timelines. Each statement works on a whole batch, passed as arrays.

Entries are inserted and locked in the order of their key, or locked entries are skipped, so that
concurrent batches don't deadlock. Statements read the present cards and follows, not the event's
data, because events can arrive late, twice or out of order. For each card, a batch has the curator
and a range of follower ids: from `first` up to, but not including, `after`. `lowest` and `highest`
are the bounds of all ranges together.
"""

from __future__ import annotations

from accounts.queries import has_very_many_followers

# For many events: find all followers first, by curator ids that the planner can see, so that it
# knows how many followers each has. With a join, one curator with very many followers is enough for
# the planner to assume the same of all, and to read the whole table for each card.
FOLLOWERS = """
    follower AS MATERIALIZED (
        SELECT followed_id, follower_id FROM accounts_follow
        WHERE followed_id = ANY(%(curators)s::bigint[])
          AND follower_id >= %(lowest)s::bigint AND follower_id < %(highest)s::bigint
          {condition}
    )
"""
# Leaves out followers whose timeline is evicted.
KEPT = """
    AND NOT EXISTS (
        SELECT FROM feeds_timeline timeline
        WHERE timeline.owner_id = follower_id AND timeline.evicted_at IS NOT NULL
    )
"""
FAN_OUT = """
    WITH {followers} added AS MATERIALIZED (
        SELECT card.id, card.curator_id, batch.first, batch.after
        FROM {batch}
        JOIN cards_card card ON card.id = batch.card_id AND card.visibility = 'PUBLIC'
    )
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT follow.follower_id, added.id, added.curator_id
    FROM added {join_follow}
    ORDER BY follow.follower_id, added.id
    ON CONFLICT DO NOTHING
"""
BATCH = """
    unnest(%(cards)s::uuid[], %(firsts)s::bigint[], %(afters)s::bigint[])
         AS batch (card_id, first, after)
"""
# For few events: look up the followers of each card by index, whatever the planner's estimates.
EACH_FOLLOWER = f"""
    CROSS JOIN LATERAL (
        SELECT follower_id FROM accounts_follow
        WHERE followed_id = added.curator_id
          AND follower_id >= added.first AND follower_id < added.after
          {KEPT}
        OFFSET 0
    ) follow
"""  # noqa: S608 - put together from constants
FOLLOWER = """
    JOIN follower follow
      ON follow.followed_id = added.curator_id
     AND follow.follower_id >= added.first AND follow.follower_id < added.after
"""
FAN_OUT_FEW = FAN_OUT.format(followers="", batch=BATCH, join_follow=EACH_FOLLOWER)
FAN_OUT_MANY = FAN_OUT.format(
    followers=f"{FOLLOWERS.format(condition=KEPT)},", batch=BATCH, join_follow=FOLLOWER
)
# For a handler's `statement`, which provides the table `claimed` (eventbook.Statement).
FAN_OUT_CLAIMED = FAN_OUT.format(followers="", batch="claimed AS batch", join_follow=EACH_FOLLOWER)
# Records the curators with very many followers as merged, and returns their ids.
MERGE = f"""
    WITH merged AS MATERIALIZED (
        SELECT person FROM unnest(%s::bigint[]) AS person WHERE {has_very_many_followers("person")}
    ), recorded AS (
        INSERT INTO feeds_mergedcurator (curator_id, since)
        SELECT person, now() FROM merged ORDER BY person
        ON CONFLICT DO NOTHING
    )
    SELECT person FROM merged
"""  # noqa: S608 - put together from constants
# Deletes entries of cards that are removed or private now.
RETRACT = f"""
    WITH {FOLLOWERS.format(condition="")}, stale AS MATERIALIZED (
        SELECT entry.owner_id, entry.card_id
        FROM unnest(%(cards)s::uuid[], %(curators)s::bigint[], %(firsts)s::bigint[],
                    %(afters)s::bigint[])
             AS batch (card_id, curator_id, first, after)
        JOIN follower follow
          ON follow.followed_id = batch.curator_id
         AND follow.follower_id >= batch.first AND follow.follower_id < batch.after
        JOIN feeds_timelineentry entry
          ON entry.owner_id = follow.follower_id AND entry.card_id = batch.card_id
        WHERE NOT EXISTS (
            SELECT FROM cards_card card
            WHERE card.id = batch.card_id AND card.visibility = 'PUBLIC'
        )
        ORDER BY entry.owner_id, entry.card_id
        FOR UPDATE OF entry
    )
    DELETE FROM feeds_timelineentry entry USING stale
    WHERE entry.owner_id = stale.owner_id AND entry.card_id = stale.card_id
"""  # noqa: S608 - put together from constants
# Inserts the newest cards of each followed curator, unless the follow is gone.
BACKFILL = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT DISTINCT follow.follower_id, newest.id, follow.followed_id
    FROM unnest(%s::bigint[], %s::bigint[]) AS batch (follower_id, followed_id)
    JOIN accounts_follow follow USING (follower_id, followed_id)
    CROSS JOIN LATERAL (
        SELECT card.id FROM cards_card card
        WHERE card.curator_id = follow.followed_id AND card.visibility = 'PUBLIC'
        ORDER BY card.id DESC LIMIT %s
    ) newest
    WHERE NOT EXISTS (
        SELECT FROM feeds_timeline timeline
        WHERE timeline.owner_id = follow.follower_id AND timeline.evicted_at IS NOT NULL
    ) AND NOT EXISTS (
        SELECT FROM feeds_mergedcurator merged WHERE merged.curator_id = follow.followed_id
    )
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING
"""
# Deletes the entries of curators whom the owner no longer follows.
WITHDRAW = """
    WITH stale AS MATERIALIZED (
        SELECT entry.owner_id, entry.card_id
        FROM unnest(%s::bigint[], %s::bigint[]) AS batch (follower_id, followed_id)
        JOIN feeds_timelineentry entry
          ON entry.owner_id = batch.follower_id AND entry.author_id = batch.followed_id
        WHERE NOT EXISTS (
            SELECT FROM accounts_follow follow
            WHERE follow.follower_id = batch.follower_id
              AND follow.followed_id = batch.followed_id
        )
        ORDER BY entry.owner_id, entry.card_id
        FOR UPDATE OF entry
    )
    DELETE FROM feeds_timelineentry entry USING stale
    WHERE entry.owner_id = stale.owner_id AND entry.card_id = stale.card_id
"""

# When a timeline was last read; no row if it is evicted or missing.
KEPT_SINCE = "SELECT read_at FROM feeds_timeline WHERE owner_id = %s AND evicted_at IS NULL"
# Creates missing rows, so that LOCK_TIMELINES has something to lock.
CREATE_TIMELINES = """
    INSERT INTO feeds_timeline (owner_id, read_at)
    SELECT id, now() FROM accounts_user WHERE id = ANY(%s::bigint[]) ORDER BY id
    ON CONFLICT DO NOTHING
"""
LOCK_TIMELINES = """
    SELECT FROM feeds_timeline WHERE owner_id = ANY(%s::bigint[])
    ORDER BY owner_id FOR NO KEY UPDATE
"""
# 64 locks shared by all cards: the server's lock table has room for only a few thousand.
LOCK_CARDS = """
    SELECT pg_advisory_xact_lock(%s, stripe) FROM (
        SELECT DISTINCT hashtext(id::text) & 63 AS stripe FROM unnest(%s::uuid[]) AS batch (id)
        ORDER BY stripe
    ) stripes
"""

# From now on, fan-outs write to this timeline. Does nothing for a deleted user.
ADMIT = """
    INSERT INTO feeds_timeline (owner_id, read_at)
    SELECT id, 'epoch' FROM accounts_user WHERE id = %s FOR KEY SHARE
    ON CONFLICT (owner_id) DO UPDATE SET evicted_at = NULL
"""
# Deletes all entries of one timeline.
CLEAR = """
    WITH stale AS MATERIALIZED (
        SELECT owner_id, card_id FROM feeds_timelineentry WHERE owner_id = %s
        ORDER BY card_id FOR UPDATE
    )
    DELETE FROM feeds_timelineentry entry USING stale
    WHERE entry.owner_id = stale.owner_id AND entry.card_id = stale.card_id
"""
# Inserts the newest cards of all followed curators into one timeline.
FILL = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT follower_id, id, curator_id FROM (
        SELECT follow.follower_id, card.id, card.curator_id
        FROM cards_card card
        JOIN accounts_follow follow ON follow.followed_id = card.curator_id
        WHERE follow.follower_id = %s AND card.visibility = 'PUBLIC' AND NOT EXISTS (
            SELECT FROM feeds_mergedcurator merged WHERE merged.curator_id = follow.followed_id
        )
        ORDER BY card.id DESC LIMIT %s
    ) newest
    ORDER BY id
    ON CONFLICT DO NOTHING
"""

# Deletes all but the newest entries of each timeline; locked ones wait for the next run.
TRIM = """
    WITH surplus AS MATERIALIZED (
        SELECT entry.owner_id, entry.card_id
        FROM feeds_timeline timeline
        CROSS JOIN LATERAL (
            SELECT kept.card_id FROM feeds_timelineentry kept
            WHERE kept.owner_id = timeline.owner_id
            ORDER BY kept.card_id DESC OFFSET %s LIMIT 1
        ) newest_surplus
        JOIN feeds_timelineentry entry
          ON entry.owner_id = timeline.owner_id AND entry.card_id <= newest_surplus.card_id
        FOR UPDATE OF entry SKIP LOCKED
    )
    DELETE FROM feeds_timelineentry entry USING surplus
    WHERE entry.owner_id = surplus.owner_id AND entry.card_id = surplus.card_id
"""
# Returns the number of evicted timelines. Skips locked entries, which PRUNE_ORPHANS deletes later:
# locking all in order takes twice as long, and waits for other transactions.
EVICT = """
    WITH idle AS MATERIALIZED (
        SELECT owner_id FROM feeds_timeline
        WHERE evicted_at IS NULL AND read_at < %s
        LIMIT %s FOR NO KEY UPDATE SKIP LOCKED
    ), evicted AS (
        UPDATE feeds_timeline timeline SET evicted_at = now() FROM idle
        WHERE timeline.owner_id = idle.owner_id RETURNING timeline.owner_id
    ), stale AS MATERIALIZED (
        SELECT entry.owner_id, entry.card_id
        FROM evicted JOIN feeds_timelineentry entry USING (owner_id)
        FOR UPDATE OF entry SKIP LOCKED
    ), emptied AS (
        DELETE FROM feeds_timelineentry entry USING stale
        WHERE entry.owner_id = stale.owner_id AND entry.card_id = stale.card_id
    )
    SELECT count(*) FROM evicted
"""
# The keys of entries whose card, follow or timeline is gone.
ORPHANS = """
    SELECT entry.owner_id, entry.card_id
    FROM feeds_timelineentry entry
    LEFT JOIN cards_card card ON card.id = entry.card_id AND card.visibility = 'PUBLIC'
    LEFT JOIN accounts_follow follow
      ON follow.follower_id = entry.owner_id AND follow.followed_id = entry.author_id
    LEFT JOIN feeds_timeline evicted
      ON evicted.owner_id = entry.owner_id AND evicted.evicted_at IS NOT NULL
    WHERE (card.id IS NULL OR follow.id IS NULL OR evicted.owner_id IS NOT NULL)
"""
FIND_ORPHANS = f"{ORPHANS} LIMIT %s"
PRUNE_ORPHANS = f"""
    WITH orphan AS MATERIALIZED (
        {ORPHANS}
        AND (entry.owner_id, entry.card_id) IN (
            SELECT owner_id, card_id
            FROM unnest(%s::bigint[], %s::uuid[]) AS batch (owner_id, card_id)
        )
        FOR UPDATE OF entry SKIP LOCKED
    )
    DELETE FROM feeds_timelineentry entry USING orphan
    WHERE entry.owner_id = orphan.owner_id AND entry.card_id = orphan.card_id
"""  # noqa: S608 - put together from constants
