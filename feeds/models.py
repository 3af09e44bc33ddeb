"""The stored following feeds: a timeline has one entry per card, written when the card is added.

Writing a new card to the timelines of all followers is the fan-out (feeds/services.py).
"""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models import LOOSE
from cards.models import Card


class TimelineEntryFields(models.Model):
    """The fields of TimelineEntry and of the database view that the admin reads.

    The foreign keys have neither constraints nor indexes, which would cost several times as much as
    the fan-out itself. Instead, reads join the card and the follow as they are now, and the daily
    task `feeds.prune_orphans` deletes entries whose rows are gone.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, **LOOSE)
    # UUIDv7: the primary key gives the order of pages, the same after a rebuild.
    card = models.ForeignKey(Card, models.DO_NOTHING, **LOOSE)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.DO_NOTHING, **LOOSE)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.card_id} for {self.owner_id}"


class TimelineEntry(TimelineEntryFields):
    """A card in the timeline of one of its curator's followers."""

    # Unique: delivering an event twice cannot list a card twice.
    pk = models.CompositePrimaryKey("owner", "card_id")

    class Meta:
        verbose_name_plural = "timeline entries"


class TimelineEntryRow(TimelineEntryFields):
    """A timeline entry with a single key, for the admin, which cannot show composite keys."""

    id = models.TextField(primary_key=True)

    class Meta:
        managed = False
        db_table = "feeds_timelineentry_row"
        verbose_name = "timeline entry"
        verbose_name_plural = "timeline entries"


class Timeline(models.Model):
    """The state of a user's timeline, which holds the stored entries of the user's following feed.

    A timeline is kept up to date, or evicted (emptied) if its owner doesn't read it. This row is
    also the lock for filling and emptying the timeline (feeds/services.py).
    """

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    # The last read, to the day: written at most once a day.
    read_at = models.DateTimeField()
    # When the timeline was evicted; null while it is kept. The next read rebuilds an evicted one.
    evicted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # Every fan-out skips these owners.
            models.Index(
                fields=["owner"],
                name="timeline_evicted",
                condition=models.Q(evicted_at__isnull=False),
            ),
            # For finding idle timelines to evict.
            models.Index(
                fields=["read_at"],
                name="timeline_kept",
                condition=models.Q(evicted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"the timeline of {self.owner_id}"


class MergedCurator(models.Model):
    """A curator with more than FAN_OUT_RANGE followers, whose cards are not written to timelines.

    A read merges these cards into the feed from the curator's library. The row stays if the number
    of followers falls. New cards then go into timelines, too, and a read shows each card once.
    """

    curator = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    since = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.curator_id} since {self.since:%F}"
