"""The SQL that writes a card's effects, shared by all peers that write sets of rows.

`node/effects.mjs` has the same statements in JavaScript; a test compares the two.
"""

from __future__ import annotations

NOTIFY = """
    INSERT INTO notifications_notification
      (recipient_id, event_id, kind, actor_id, card_id, created_at)
    SELECT follow.follower_id, card.id, 'CARD_ADDED', card.curator_id, card.id, now()
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
"""
FAN_OUT = """
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT follow.follower_id, card.id, card.curator_id
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
"""
# A message may be delivered twice.
OF_CARDS = "WHERE card.id = ANY(%s::uuid[]) ORDER BY 1, 2 ON CONFLICT DO NOTHING"
OF_ALL = "ORDER BY 1, 2"

# One statement per queue, for the cards of one message.
EFFECTS = {"notifications": f"{NOTIFY} {OF_CARDS}", "feeds": f"{FAN_OUT} {OF_CARDS}"}

INSERT_CARD = """
    INSERT INTO cards_card (id, curator_id, type, link, title, text, reference, visibility,
                            created_at, updated_at)
    VALUES (%s, %s, 'NOTE', '', '', 'a note', '{}', 'PUBLIC', now(), now())
"""
