"""The auditor's rules for notifications: nobody entitled to one has missed it."""

from __future__ import annotations

from eventbook.operate import audit_rule

# Checks a sample of recent deliveries: up to 200 cards, and up to 500 followers of each. Followers
# of less than a minute are skipped: the event of the follow notifies them, and may not be delivered
# yet.
audit_rule(
    "every_follower_was_notified",
    statement="""
        SELECT 'user ' || follow.follower_id || ' was not notified of card ' || card.id
        FROM (
            SELECT event_id FROM eventbook_delivery
            WHERE handler = 'notifications.notify_card_added' AND state = 'done' AND part = 0
              AND finished_at BETWEEN now() - interval '10 minutes' AND now() - interval '1 minute'
            LIMIT 200
        ) AS delivered
        JOIN eventbook_event event ON event.id = delivered.event_id
        JOIN cards_card card
          ON card.id = (event.data ->> 'card_id')::uuid AND card.visibility = 'PUBLIC'
        CROSS JOIN LATERAL (
            SELECT * FROM accounts_follow
            WHERE followed_id = card.curator_id AND notify LIMIT 500
        ) AS follow
        WHERE follow.created_at < event.recorded_at - interval '1 minute'
          AND event.data ->> 'visibility' = 'PUBLIC'
          AND event.data ->> 'import_id' IS NULL
          AND NOT EXISTS (SELECT FROM eventbook_event changed
                          WHERE changed.subject = event.subject AND changed.id <> event.id)
          AND NOT EXISTS (SELECT FROM notifications_notification written
                          WHERE written.recipient_id = follow.follower_id
                            AND written.event_id = event.id)
          AND NOT EXISTS (SELECT FROM eventbook_delivery part
                          WHERE part.event_id = event.id AND part.part > 0
                            AND part.handler = 'notifications.notify_card_added'
                            AND part.state <> 'done')
    """,
    advice="Replay: `manage.py replay --handler notifications.notify_card_added --event ID`.",
)
# Checks the same sample, with up to 100 other cards per page. Cards that rightly have no
# notification are skipped: those still waiting for their delivery, imported, moved to this page at
# about that time, or changed since.
audit_rule(
    "earlier_saver_was_notified",
    statement="""
        SELECT DISTINCT 'user ' || earlier.curator_id || ' was not notified of card ' || later.id
        FROM (
            SELECT event_id FROM eventbook_delivery
            WHERE handler = 'notifications.notify_card_added' AND state = 'done' AND part = 0
              AND finished_at BETWEEN now() - interval '10 minutes' AND now() - interval '1 minute'
            LIMIT 200
        ) AS delivered
        JOIN eventbook_event event ON event.id = delivered.event_id
        JOIN cards_card card ON card.id = (event.data ->> 'card_id')::uuid
        CROSS JOIN LATERAL (
            SELECT id FROM cards_card
            WHERE url_id = card.url_id AND curator_id <> card.curator_id LIMIT 100
        ) AS other
        JOIN cards_card earlier ON earlier.id = least(card.id, other.id)
        JOIN cards_card later
          ON later.id = greatest(card.id, other.id) AND later.visibility = 'PUBLIC'
        JOIN accounts_user recipient ON recipient.id = earlier.curator_id AND recipient.is_active
        JOIN accounts_user actor ON actor.id = later.curator_id AND actor.is_active
        JOIN eventbook_event saved
          ON saved.subject = 'cards/' || later.id AND saved.type = 'card.added'
         AND saved.data ->> 'visibility' = 'PUBLIC'
        WHERE NOT EXISTS (SELECT FROM notifications_notification written
                          WHERE written.recipient_id = earlier.curator_id
                            AND written.event_id = saved.id)
          AND NOT EXISTS (SELECT FROM eventbook_event changed
                          WHERE changed.subject = saved.subject AND changed.id <> saved.id)
          AND NOT EXISTS (SELECT FROM eventbook_event changed
                          WHERE changed.subject = 'cards/' || earlier.id
                            AND changed.type <> 'card.added'
                            AND changed.recorded_at > saved.recorded_at - interval '1 hour')
          AND NOT EXISTS (SELECT FROM eventbook_event either
                          LEFT JOIN eventbook_outboxentry entry ON entry.event_id = either.id
                          LEFT JOIN eventbook_delivery delivery
                            ON delivery.event_id = either.id
                           AND delivery.handler = 'notifications.notify_card_added'
                          WHERE either.subject IN ('cards/' || earlier.id, saved.subject)
                            AND either.type = 'card.added'
                            AND (entry.event_id IS NOT NULL OR delivery.state <> 'done'))
    """,
    advice="Replay: `manage.py replay --handler notifications.notify_card_added --event ID`.",
)
