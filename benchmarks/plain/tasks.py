from __future__ import annotations

from django.utils import timezone

from accounts.models import Follow
from benchmarks.plain.app import app
from cards.models import Card
from feeds.models import TimelineEntry
from notifications.models import Kind, Notification


@app.task(queue="plain-notifications")
def notify(card_id: str) -> None:
    """Notify the followers of a card's curator."""
    card = Card.objects.get(pk=card_id)
    followers = Follow.objects.filter(followed_id=card.curator_id, notify=True)
    now = timezone.now()
    Notification.objects.bulk_create(
        [
            Notification(
                recipient_id=recipient, event_id=card.pk, kind=Kind.CARD_ADDED,
                actor_id=card.curator_id, card_id=card.pk, created_at=now,
            )
            for recipient in followers.values_list("follower_id", flat=True)
        ],
        ignore_conflicts=True,
    )  # fmt: skip


@app.task(queue="plain-feeds")
def fan_out(card_id: str) -> None:
    """Put a card into the timelines of its curator's followers."""
    card = Card.objects.get(pk=card_id)
    followers = Follow.objects.filter(followed_id=card.curator_id)
    TimelineEntry.objects.bulk_create(
        [
            TimelineEntry(owner_id=owner, card_id=card.pk, author_id=card.curator_id)
            for owner in followers.values_list("follower_id", flat=True)
        ],
        ignore_conflicts=True,
    )
