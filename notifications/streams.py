"""Notifications on the live stream, each with the recipient's unread count."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from events.stream import Pair, Source, register
from notifications import queries
from notifications.serializers import NotificationSerializer

CHANGED = """
    SELECT since.person_id, newest.event_id, newest.written
    FROM since CROSS JOIN LATERAL (
        SELECT event_id, xmin AS written FROM notifications_notification
        WHERE recipient_id = since.person_id AND read_at IS NULL AND event_id >= since.first
        ORDER BY event_id DESC LIMIT %(most)s
    ) newest
    WHERE age(newest.written) BETWEEN 0 AND age(since.horizon)
"""


def shown(pairs: Collection[Pair]) -> dict[Pair, Any]:
    """This answers what recipients are shown of these notifications, as their list shows it."""
    recipients, events = {person for person, _ in pairs}, {event for _, event in pairs}
    told = queries.as_shown(queries.visible()).filter(
        recipient__in=recipients, event_id__in=events, read_at=None
    )
    unread = queries.unread_counts(recipients)
    return {
        pair: NotificationSerializer(notification).data
        | {"unread_count": unread.get(notification.recipient_id, 0)}
        for notification in told
        if (pair := (notification.recipient_id, notification.event_id)) in pairs
    }


register(Source("notification", CHANGED, shown))
