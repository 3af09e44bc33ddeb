from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from events.ids import new_id


class Import(models.Model):
    """What somebody brings along in one go: a file, what is at an address, or news of a feed."""

    class Source(models.TextChoices):
        UPLOAD = "upload", "Upload"
        URL = "url", "Address"
        FEED = "feed", "News of a feed"

    class Status(models.TextChoices):
        QUEUED = "queued", "Waiting"
        READING = "reading", "Being read"
        RUNNING = "running", "Being added"
        DONE = "done", "Done"
        PREVIEWED = "previewed", "Previewed"  # the end of a dry run
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    ENDS = (Status.DONE, Status.PREVIEWED, Status.FAILED, Status.CANCELLED)
    OPEN = (Status.QUEUED, Status.READING, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="imports", db_index=False
    )
    source_kind = models.CharField(max_length=6, choices=Source)
    # The address, or the name of the file.
    source = models.TextField(max_length=2048, blank=True)
    format = models.CharField(max_length=20, blank=True)  # empty until it is known
    status = models.CharField(max_length=9, choices=Status, default=Status.QUEUED)
    # Whether the workers have been told to read it (cards/imports/turns.py). With a default of the
    # table: the release before this one tells them of each at once.
    announced = models.BooleanField(default=True, db_default=True)
    error = models.TextField(blank=True)
    # What its owner wants: `collection`, `visibility`, `dry_run`.
    options = models.JSONField(default=dict)
    # The first rows, and the columns that were found, of a dry run.
    preview = models.JSONField(default=dict, blank=True)
    size = models.IntegerField(default=0)  # in bytes
    # Rows that were read so far: a reader that comes after a crash goes on behind them.
    read = models.IntegerField(default=0)
    batches = models.IntegerField(default=0)
    batches_done = models.IntegerField(default=0)
    # What became of rows: each is in one of these numbers. One that is known has been imported
    # before, or brought nothing new; one that is merged added something to a card that was there.
    added = models.IntegerField(default=0)
    known = models.IntegerField(default=0)
    # With a default of the table: the release before this one inserts imports without it.
    merged = models.IntegerField(default=0, db_default=0)
    failed = models.IntegerField(default=0)
    # Rows of any outcome whose file says something that was not understood.
    warned = models.IntegerField(default=0, db_default=0)
    added_public = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # One that counts more batches than there are would end before its time.
            models.CheckConstraint(
                condition=Q(batches_done__lte=models.F("batches")), name="import_batches_in_bounds"
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="import_by_owner"),
            # Few are open at any time; they are counted for quotas and turns.
            models.Index(
                fields=["owner"],
                name="import_open",
                condition=Q(status__in=["queued", "reading", "running"]),
            ),
        ]

    def __str__(self) -> str:
        # Without its source: an address may hold a secret, and names of files tell much.
        return f"{self.get_source_kind_display()} {self.id} ({self.status})"

    @property
    def is_finished(self) -> bool:
        """Return that nothing more will happen to it."""
        return self.status in self.ENDS


class ImportUsage(models.Model):
    """How much somebody has imported on the UTC day on which they did last."""

    owner = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+"
    )
    day = models.DateField()
    bytes = models.BigIntegerField()
    rows = models.IntegerField()
    collections = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.owner_id} on {self.day}"


class ImportFile(models.Model):
    """The bytes of an import, until it has been read."""

    origin = models.OneToOneField(
        Import, models.CASCADE, primary_key=True, related_name="file", db_column="import_id"
    )
    content = models.BinaryField()

    def __str__(self) -> str:
        return f"file of {self.origin_id}"


class ImportBatch(models.Model):
    """Some rows of an import that are added together; it goes in the transaction that does it."""

    id = models.BigAutoField(primary_key=True)
    origin = models.ForeignKey(
        Import, models.CASCADE, related_name="batch_set", db_index=False, db_column="import_id"
    )
    # The import's, for turns; null with the release before this one, which announces each at once.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+", db_index=False
    )
    announced = models.BooleanField(default=True, db_default=True)
    number = models.IntegerField()
    rows = models.IntegerField()
    # As JSON (cards/imports/items.py).
    items = models.BinaryField()

    class Meta:
        constraints = [
            # A reader that goes on after a crash must not write a batch twice.
            models.UniqueConstraint(fields=["origin", "number"], name="one_import_batch_of_number"),
        ]
        indexes = [models.Index(fields=["owner", "announced", "number"], name="batch_by_turn")]

    def __str__(self) -> str:
        return f"batch {self.number} of {self.origin_id}"


class ImportProblem(models.Model):
    """A row that could not be added, or read: in which line, and why; or a warning of one."""

    id = models.BigAutoField(primary_key=True)
    origin = models.ForeignKey(
        Import, models.CASCADE, related_name="problems", db_index=False, db_column="import_id"
    )
    line = models.IntegerField()
    code = models.CharField(max_length=40)
    detail = models.TextField()
    # With a default of the table: the release before this one inserts problems without it.
    is_warning = models.BooleanField(default=False, db_default=False)
    # What the row is about: a title or an address, cut short.
    row = models.TextField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["origin", "id"], name="problem_by_import")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.detail}"


class ImportMerge(models.Model):
    """A row that was merged into a card that was there: in which line, and into which."""

    id = models.BigAutoField(primary_key=True)
    origin = models.ForeignKey(
        Import, models.CASCADE, related_name="merges", db_index=False, db_column="import_id"
    )
    line = models.IntegerField()
    # The row's title or address, cut short. A card keeps its own title, so this is where the
    # title of a row that was merged can be read.
    row = models.TextField(max_length=200, blank=True)
    # Null when the card has been removed.
    card = models.ForeignKey("cards.Card", models.SET_NULL, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["origin", "id"], name="merge_by_import")]

    def __str__(self) -> str:
        return f"line {self.line} into {self.card_id}"


class ImportedItem(models.Model):
    """Something that was imported once, by its identity in its source, and the card it became."""

    id = models.BigAutoField(primary_key=True)
    # No index of its own: `one_item_per_identity` begins with it.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    # A digest of `source#guid`.
    identity = models.UUIDField()
    # Null when the card has been removed.
    card = models.ForeignKey("cards.Card", models.SET_NULL, null=True, related_name="imported_as")
    # Digests of the rows that the card has taken in: one that comes again changes nothing, even if
    # its curator has changed the card since.
    seen = ArrayField(models.UUIDField(), default=list, db_default=[])
    # The item whose card is to be the parent of this one's, until the import is complete.
    parent = models.UUIDField(null=True)

    class Meta:
        constraints = [
            # What comes twice, even in two imports at once, must become one card.
            models.UniqueConstraint(fields=["owner", "identity"], name="one_item_per_identity"),
        ]
        indexes = [
            models.Index(
                fields=["owner"], name="item_without_parent", condition=Q(parent__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.identity)


class WebFeed(models.Model):
    """A feed on the web, asked once for all who subscribe to it, and what is known of it."""

    id = models.BigAutoField(primary_key=True)
    url = models.TextField(max_length=2048)
    # As its last answer had them, for conditional requests.
    etag = models.TextField(max_length=1000, blank=True)
    last_modified = models.TextField(max_length=100, blank=True)
    asked_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    next_refresh = models.DateTimeField()
    failures = models.IntegerField(default=0)  # in a row
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            # However many subscribe to a feed at once, it must be asked once.
            models.UniqueConstraint(fields=["url"], name="one_feed_per_address"),
        ]
        indexes = [models.Index(fields=["next_refresh"], name="feed_due")]

    def __str__(self) -> str:
        # Without the rest of the address, which may hold a secret.
        return f"feed {self.pk} of {urlsplit(self.url).hostname}"


class FeedSubscription(models.Model):
    """That the news of a feed become cards of its subscriber."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="subscriptions", db_index=False
    )
    feed = models.ForeignKey(WebFeed, models.CASCADE, related_name="subscriptions")
    title = models.TextField(max_length=500, blank=True)
    # `collection` and `visibility` of its cards, as with imports.
    options = models.JSONField(default=dict)
    # Whether it has been given all that the feed has; until then a feed isn't asked for news only.
    caught_up = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Who subscribes twice must not get everything twice.
            models.UniqueConstraint(fields=["owner", "feed"], name="one_subscription_per_feed"),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="subscription_by_owner")]

    def __str__(self) -> str:
        return f"subscription {self.pk}"
