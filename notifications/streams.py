"""The live stream's event `notification`, with the recipient's unread count."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cards.queries import CHANGED_CARDS
from eventbook.stream import Pair, Source, register
from notifications import queries
from notifications.serializers import NotificationSerializer

CHANGES = """
    SELECT since.person_id, newest.event_id, newest.written
    FROM since CROSS JOIN LATERAL (
        SELECT event_id, xmin AS written FROM notifications_notification
        WHERE recipient_id = since.person_id AND read_at IS NULL AND event_id >= since.first
        ORDER BY event_id DESC LIMIT %(max_rows)s
    ) newest
    WHERE age(newest.written) BETWEEN 0 AND age(since.horizon)
"""

# Recipients whose notifications are stale, because a card or collection in them was changed or
# removed. If more than %(max_rows)s cards changed at one moment, only the newest are checked.
RESETS = f"""
    , {CHANGED_CARDS}, latest AS MATERIALIZED (
        SELECT * FROM changed ORDER BY card_id DESC LIMIT %(max_rows)s
    ), renamed AS MATERIALIZED (
        SELECT event.subject, event.written
        FROM (
            SELECT id, subject, (data ->> 'collection_id')::uuid AS collection_id, xmin AS written
            FROM eventbook_event
            WHERE type IN ('collection.updated', 'collection.removed') AND id >= %(earliest)s
              AND age(xmin) BETWEEN 0 AND (SELECT max(age(horizon)) FROM since)
            ORDER BY id DESC LIMIT %(max_rows)s
        ) event
        LEFT JOIN cards_collection collection ON collection.id = event.collection_id
        WHERE collection.visibility = 'PUBLIC' OR 'PUBLIC' = (
            SELECT data ->> 'visibility' FROM eventbook_event before
            WHERE before.subject = event.subject AND before.id < event.id
              AND before.type IN ('collection.created', 'collection.updated')
            ORDER BY before.id DESC LIMIT 1
        )
    )
    SELECT since.person_id, latest.written
    FROM latest
    JOIN eventbook_event added
      ON added.subject = 'cards/' || latest.card_id AND added.type = 'card.added'
    JOIN since ON age(latest.written) BETWEEN 0 AND age(since.horizon)
    JOIN notifications_notification existing
      ON existing.recipient_id = since.person_id AND existing.event_id = added.id
    UNION ALL
    SELECT since.person_id, latest.written
    FROM latest
    JOIN since
      ON since.person_id = latest.curator_id
     AND age(latest.written) BETWEEN 0 AND age(since.horizon)
    WHERE latest.card_id IN (
        SELECT card_id FROM notifications_notification
        WHERE recipient_id = since.person_id ORDER BY event_id DESC LIMIT %(max_rows)s
    )
    UNION ALL
    SELECT since.person_id, renamed.written
    FROM renamed
    CROSS JOIN LATERAL (
        SELECT id, (data ->> 'card_id')::uuid AS card_id FROM eventbook_event
        WHERE subject = renamed.subject AND type = 'collection.card_added'
        ORDER BY id DESC LIMIT 200
    ) placed
    JOIN cards_card card
      ON card.id = placed.card_id AND card.curator_id = ANY(%(people)s::bigint[])
    JOIN since
      ON since.person_id = card.curator_id
     AND age(renamed.written) BETWEEN 0 AND age(since.horizon)
    JOIN notifications_notification existing
      ON existing.recipient_id = since.person_id AND existing.event_id = placed.id
"""  # noqa: S608 - put together from constants


def load_notifications(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """Return these notifications in the format of the notification list, without read ones."""
    recipients, events = {person for person, _ in pairs}, {event for _, event in pairs}
    notifications = queries.as_shown(queries.visible()).filter(
        recipient__in=recipients, event_id__in=events, read_at=None
    )
    unread = queries.unread_counts(recipients)
    return {
        pair: NotificationSerializer(notification).data
        | {"unread_count": unread.get(notification.recipient_id, 0)}
        for notification in notifications
        if (pair := (notification.recipient_id, notification.event_id)) in pairs
    }


register(
    Source(
        name="notification", changes_sql=CHANGES, load_data=load_notifications, resets_sql=RESETS
    )
)
