"""The SQL of imports; each statement processes a whole batch."""

from __future__ import annotations

# Ordered by key, so that concurrent batches don't deadlock. A batch that meets the claim of another
# transaction waits for its commit, and finds the item known.
CLAIM = """
    INSERT INTO imports_importeditem (owner_id, identity)
    SELECT %(owner)s, identity FROM unnest(%(identities)s::uuid[]) AS wanted (identity)
    ORDER BY identity
    ON CONFLICT (owner_id, identity) DO NOTHING
    RETURNING identity
"""
FIND_KNOWN = """
    SELECT identity, card_id, digests FROM imports_importeditem
    WHERE owner_id = %(owner)s AND identity = ANY(%(identities)s::uuid[])
"""
LOCK_KNOWN = FIND_KNOWN + "ORDER BY identity FOR UPDATE"
SET_CARDS = """
    UPDATE imports_importeditem item SET card_id = new.card_id, parent = new.parent
    FROM unnest(%(identities)s::uuid[], %(cards)s::uuid[], %(parents)s::uuid[])
         AS new (identity, card_id, parent)
    WHERE item.owner_id = %(owner)s AND item.identity = new.identity
"""
# Call with these items claimed or locked by this transaction.
ADD_DIGESTS = """
    UPDATE imports_importeditem item SET digests = item.digests || new.digests
    FROM (
        SELECT identity, array_agg(digest) AS digests
        FROM unnest(%(identities)s::uuid[], %(digests)s::uuid[]) AS pair (identity, digest)
        GROUP BY identity
    ) AS new
    WHERE item.owner_id = %(owner)s AND item.identity = new.identity
"""
# Call with the cards locked.
MERGE = """
    UPDATE cards_card card
    SET type = merged.type, title = merged.title, text = merged.text, tags = merged.tags,
        reference = merged.reference, visibility = merged.visibility,
        created_at = merged.created_at, updated_at = now()
    FROM json_to_recordset(%s::json) AS merged (
        id uuid, type text, title text, text text, tags text[], reference jsonb, visibility text,
        created_at timestamptz
    )
    WHERE card.id = merged.id
"""
RELEASE = """
    DELETE FROM imports_importeditem
    WHERE owner_id = %(owner)s AND identity = ANY(%(identities)s::uuid[]) AND card_id IS NULL
"""
# Updates nothing if `read` has changed: so a second reader of the same import stops.
COUNT_READ = """
    UPDATE imports_import
    SET read = read + %(rows)s, batches = batches + %(batches)s, failed = failed + %(failed)s,
        warned = warned + %(warned)s
    WHERE id = %(import)s AND status = 'reading' AND read = %(before)s
    RETURNING batches
"""
# Returns whether the import is complete.
COUNT_ADDED = """
    UPDATE imports_import
    SET batches_done = batches_done + 1, added = added + %(added)s, known = known + %(known)s,
        merged = merged + %(merged)s, failed = failed + %(failed)s,
        added_public = added_public + %(public)s
    WHERE id = %(import)s
    RETURNING status = 'running' AND batches_done = batches
"""
# Returns whether all batches have been added already; no row if the import isn't being read.
FINISH_READING = """
    UPDATE imports_import SET status = 'running' WHERE id = %(import)s AND status = 'reading'
    RETURNING batches_done = batches
"""
HAS_WAITING = """
    SELECT FROM imports_importeditem WHERE owner_id = %(owner)s AND parent IS NOT NULL LIMIT 1
"""
# Give cards the parents that their items name. An item whose parent is not imported yet keeps
# waiting. A card that has a parent by now keeps it. A card gets no parent if that would close a
# cycle, or if the chain is too deep to rule out a cycle. The row without id counts the items that
# were chosen; the other rows are the cards that got a parent.
LINK = """
    WITH RECURSIVE chosen AS MATERIALIZED (
        SELECT item.identity, item.card_id, above.card_id AS parent_id
        FROM imports_importeditem item
        JOIN imports_importeditem above
          ON above.owner_id = item.owner_id AND above.identity = item.parent
         AND above.card_id IS NOT NULL
        WHERE item.owner_id = %(owner)s AND item.parent IS NOT NULL
        LIMIT %(limit)s
    ), wanted AS MATERIALIZED (
        SELECT DISTINCT ON (chosen.card_id) chosen.card_id, chosen.parent_id
        FROM chosen JOIN cards_card card ON card.id = chosen.card_id AND card.parent_id IS NULL
        ORDER BY chosen.card_id, chosen.parent_id
    ), climb (card_id, at, steps) AS (
        SELECT card_id, parent_id, 1 FROM wanted
        UNION ALL
        SELECT climb.card_id, coalesce(wanted.parent_id, card.parent_id), steps + 1
        FROM climb
        JOIN cards_card card ON card.id = climb.at
        LEFT JOIN wanted ON wanted.card_id = climb.at
        WHERE climb.at <> climb.card_id AND steps <= %(depth)s
          AND coalesce(wanted.parent_id, card.parent_id) IS NOT NULL
    ), refused AS (
        SELECT DISTINCT card_id FROM climb WHERE at = card_id OR steps > %(depth)s
    ), settled AS (
        UPDATE imports_importeditem item SET parent = NULL FROM chosen
        WHERE item.owner_id = %(owner)s AND item.identity = chosen.identity
    ), linked AS (
        UPDATE cards_card SET parent_id = wanted.parent_id
        FROM wanted LEFT JOIN refused USING (card_id)
        WHERE cards_card.id = wanted.card_id AND refused.card_id IS NULL
        RETURNING cards_card.id, cards_card.curator_id, cards_card.url_id, cards_card.visibility
    )
    SELECT NULL::uuid, count(*), NULL, NULL FROM chosen UNION ALL SELECT * FROM linked
"""
# A new subscription makes an existing feed due soon, but a failing feed keeps its back-off.
SUBSCRIBE = """
    WITH wanted AS (
        SELECT * FROM unnest(%(ids)s::uuid[], %(urls)s::text[], %(titles)s::text[],
                             %(options)s::jsonb[]) AS wanted (id, url, title, options)
    ), feed AS (
        INSERT INTO imports_webfeed
            (url, etag, last_modified, next_refresh, failures, error)
        SELECT url, '', '', now() + %(first)s, 0, '' FROM wanted ORDER BY url
        ON CONFLICT (url) DO UPDATE SET next_refresh = CASE
            WHEN imports_webfeed.failures > 0 THEN imports_webfeed.next_refresh
            ELSE least(imports_webfeed.next_refresh,
                       greatest(now() + %(first)s, imports_webfeed.requested_at + %(wait)s)) END
        RETURNING id, url
    )
    INSERT INTO imports_feedsubscription
        (id, owner_id, feed_id, title, options, caught_up, created_at)
    SELECT wanted.id, %(owner)s, feed.id, title, wanted.options, %(caught_up)s, now()
    FROM wanted JOIN feed USING (url)
    ORDER BY wanted.id
    ON CONFLICT (owner_id, feed_id) DO NOTHING
    RETURNING id
"""
# Returns the items that each owner has never imported.
FIND_MISSING = """
    SELECT owner_id, array_agg(identity)
    FROM unnest(%(owners)s::bigint[]) AS owner (owner_id),
         unnest(%(identities)s::uuid[]) AS item (identity)
    WHERE NOT EXISTS (
        SELECT FROM imports_importeditem known
        WHERE known.owner_id = owner.owner_id AND known.identity = item.identity
    )
    GROUP BY owner_id
"""
