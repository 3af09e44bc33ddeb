"""What the auditor checks of notifications."""

from __future__ import annotations

from events.audit import audit_rule

# A sample of what was told lately: up to 200 cards, and up to 500 followers of each.
audit_rule(
    "who_asked_was_told",
    statement="""
        SELECT 'user ' || follow.follower_id || ' was not told of card ' || card.id
        FROM (
            SELECT event_id FROM events_delivery
            WHERE handler = 'notifications.notify_card_added' AND state = 'done' AND part = 0
              AND finished_at BETWEEN now() - interval '10 minutes' AND now() - interval '1 minute'
            LIMIT 200
        ) AS delivered
        JOIN events_event event ON event.id = delivered.event_id
        JOIN cards_card card
          ON card.id = (event.data ->> 'card_id')::uuid AND card.visibility = 'PUBLIC'
        CROSS JOIN LATERAL (
            SELECT * FROM accounts_follow
            WHERE followed_id = card.curator_id AND notify LIMIT 500
        ) AS follow
        WHERE follow.created_at < event.recorded_at
          AND event.data ->> 'visibility' = 'PUBLIC'
          AND event.data ->> 'import_id' IS NULL
          AND NOT EXISTS (SELECT FROM events_event changed
                          WHERE changed.subject = event.subject AND changed.id > event.id)
          AND NOT EXISTS (SELECT FROM notifications_notification told
                          WHERE told.recipient_id = follow.follower_id
                            AND told.event_id = event.id)
          AND NOT EXISTS (SELECT FROM events_delivery part
                          WHERE part.event_id = event.id AND part.part > 0
                            AND part.handler = 'notifications.notify_card_added'
                            AND part.state <> 'done')
    """,
    advice="Replay: `manage.py replay --handler notifications.notify_card_added --event ID`.",
)
