"""The auditor's rule for timelines: a card that was fanned out is in every follower's timeline."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from eventbook.operate import audit_rule

# Checks a sample of recent fan-outs: up to 200 cards, and up to 500 followers of each. Cases that
# another delivery or read completes are skipped: follows from the minute before the card, cards
# changed since, timelines that the next read rebuilds, and fan-outs with open parts.
audit_rule(
    "every_follower_got_the_card",
    statement="""
        SELECT 'card ' || card.id || ' is missing in the timeline of user ' || follow.follower_id
        FROM (
            SELECT event_id FROM eventbook_delivery
            WHERE handler = 'feeds.fan_out' AND state = 'done' AND part = 0
              AND finished_at BETWEEN now() - interval '10 minutes' AND now() - interval '1 minute'
            LIMIT 200
        ) AS delivered
        JOIN eventbook_event event ON event.id = delivered.event_id
        JOIN cards_card card
          ON card.id = (event.data ->> 'card_id')::uuid AND card.visibility = 'PUBLIC'
        CROSS JOIN LATERAL (
            SELECT * FROM accounts_follow WHERE followed_id = card.curator_id LIMIT 500
        ) AS follow
        WHERE follow.created_at < event.recorded_at - interval '1 minute'
          AND NOT EXISTS (SELECT FROM eventbook_event changed
                          WHERE changed.subject = event.subject AND changed.id <> event.id)
          AND NOT EXISTS (SELECT FROM feeds_timelineentry entry
                          WHERE entry.owner_id = follow.follower_id AND entry.card_id = card.id)
          AND NOT EXISTS (SELECT FROM feeds_mergedcurator merged
                          WHERE merged.curator_id = card.curator_id)
          AND NOT EXISTS (SELECT FROM feeds_timeline timeline
                          WHERE timeline.owner_id = follow.follower_id
                            AND (timeline.evicted_at IS NOT NULL
                                 OR timeline.read_at < now() - %(idle)s))
          AND NOT EXISTS (SELECT FROM eventbook_delivery part
                          WHERE part.event_id = event.id AND part.handler = 'feeds.fan_out'
                            AND part.part > 0 AND part.state <> 'done')
          AND %(length)s > (
              SELECT count(*) FROM (
                  SELECT FROM feeds_timelineentry newer
                  WHERE newer.owner_id = follow.follower_id AND newer.card_id > card.id
                  LIMIT %(length)s
              ) AS newer)
    """,
    advice="Rebuild the timelines: `manage.py rebuild_feeds --user NAME`, or --all.",
    parameters=lambda: {
        "length": settings.FEED_LENGTH,
        "idle": timedelta(days=settings.FEED_EVICT_DAYS),
    },
)
