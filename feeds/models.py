from __future__ import annotations

from django.conf import settings
from django.db import models

from cards.models import Card


class TimelineEntryFields(models.Model):
    """What the table and the admin's view of it have in common.

    No foreign key is a constraint or has an index: they cost a multiple of the fan-out itself. In
    their place reads join the card and the follow as they are now, and a sweep
    (`feeds.prune_orphans`) deletes what is left over.
    """

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    # UUIDv7: the primary key gives the page order, and a rebuilt timeline equals the live one.
    card = models.ForeignKey(
        Card, models.DO_NOTHING, related_name="+", db_constraint=False, db_index=False
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.card_id} for {self.owner_id}"


class TimelineEntry(TimelineEntryFields):
    """A card in the timeline of one of its curator's followers."""

    # A card stands in a timeline once, however often its event is delivered.
    pk = models.CompositePrimaryKey("owner", "card_id")

    class Meta:
        verbose_name_plural = "timeline entries"


class TimelineEntryRow(TimelineEntryFields):
    """A timeline entry under a single key, for the admin, which cannot show composite keys."""

    id = models.TextField(primary_key=True)

    class Meta:
        managed = False
        db_table = "feeds_timelineentry_row"
        verbose_name = "timeline entry"
        verbose_name_plural = "timeline entries"


class Timeline(models.Model):
    """Whether somebody's timeline is kept, and when it was last read.

    Its row is also the lock under which a timeline is filled and emptied (feeds/services.py).
    """

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    # To the day: more often than once a day it is not written.
    read_at = models.DateTimeField()
    # Nobody reads it, so nothing is written to it; the next read rebuilds it.
    evicted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # Every fan-out leaves these owners out.
            models.Index(
                fields=["owner"],
                name="timeline_evicted",
                condition=models.Q(evicted_at__isnull=False),
            ),
            # Those that are due for eviction.
            models.Index(
                fields=["read_at"],
                name="timeline_kept",
                condition=models.Q(evicted_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return f"the timeline of {self.owner_id}"


class MergedCurator(models.Model):
    """Somebody whom very many follow: feeds find the cards in the library, when they are read.

    Whoever was it once stays it. With few followers again, new cards come into timelines as well,
    and a feed shows each once.
    """

    curator = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    since = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.curator_id} since {self.since:%F}"
