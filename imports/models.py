from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from eventbook.database import new_id


class Import(models.Model):
    """One import: an uploaded file, the file at an address, or new entries of a web feed."""

    class Source(models.TextChoices):
        UPLOAD = "upload", "Upload"
        URL = "url", "Address"
        FEED = "feed", "New entries of a feed"

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
    # Whether the event that makes a worker read it was recorded (imports/jobs/turns.py).
    announced = models.BooleanField(default=True)
    error = models.TextField(blank=True)
    # The owner's choices: `collection`, `visibility`, `dry_run`.
    options = models.JSONField(default=dict)
    # The result of a dry run: the file's first rows, and the table columns that were recognized.
    preview = models.JSONField(default=dict, blank=True)
    size = models.IntegerField(default=0)  # in bytes
    # The number of rows read so far: after a crash, the next reader continues behind them.
    read = models.IntegerField(default=0)
    batches = models.IntegerField(default=0)
    batches_done = models.IntegerField(default=0)
    # Rows by result; each row counts once. `known`: imported before, or nothing new. `merged`:
    # changed an existing card.
    added = models.IntegerField(default=0)
    known = models.IntegerField(default=0)
    merged = models.IntegerField(default=0)
    failed = models.IntegerField(default=0)
    # Rows of any result with a warning: their file has a mark that was not understood.
    warned = models.IntegerField(default=0)
    # The public cards among `added`; followers get one notification of all of them.
    added_public = models.IntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            # An import that counts more finished batches than it has would end too early.
            models.CheckConstraint(
                condition=Q(batches_done__lte=models.F("batches")), name="import_batches_in_bounds"
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="import_by_owner"),
            # Small, because few imports are open at once; quotas and turns count them.
            models.Index(
                fields=["owner"],
                name="import_open",
                condition=Q(status__in=["queued", "reading", "running"]),
            ),
        ]

    def __str__(self) -> str:
        # Without the source: addresses and file names may hold private information.
        return f"{self.get_source_kind_display()} {self.id} ({self.status})"

    @property
    def is_finished(self) -> bool:
        """Return whether the import has ended, for whatever reason."""
        return self.status in self.ENDS


class ImportUsage(models.Model):
    """How much a user has imported on the UTC day of their last import."""

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
    """The file of an import, kept until it is completely read."""

    origin = models.OneToOneField(
        Import, models.CASCADE, primary_key=True, related_name="file", db_column="import_id"
    )
    content = models.BinaryField()
    # The charset that the web server declared. Without it, a file that is read again after a crash
    # could be decoded differently, and so yield other rows.
    charset = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"file of {self.origin_id}"


class ImportBatch(models.Model):
    """Rows of an import that are added together; deleted in the transaction that adds them."""

    id = models.BigAutoField(primary_key=True)
    origin = models.ForeignKey(
        Import, models.CASCADE, related_name="batch_set", db_index=False, db_column="import_id"
    )
    # The owner of the import, copied for the index `batch_by_turn`.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    # Whether the event that makes a worker add the batch was recorded (imports/jobs/turns.py).
    announced = models.BooleanField(default=False)
    number = models.IntegerField()
    rows = models.IntegerField()
    # A JSON list of items (imports/files/items.py).
    items = models.BinaryField()

    class Meta:
        constraints = [
            # A reader that continues after a crash must not write a batch twice.
            models.UniqueConstraint(fields=["origin", "number"], name="one_import_batch_of_number"),
        ]
        indexes = [models.Index(fields=["owner", "announced", "number"], name="batch_by_turn")]

    def __str__(self) -> str:
        return f"batch {self.number} of {self.origin_id}"


class ImportProblem(models.Model):
    """A row that could not be read or added, with its line and the reason; or a warning."""

    id = models.BigAutoField(primary_key=True)
    origin = models.ForeignKey(
        Import, models.CASCADE, related_name="problems", db_index=False, db_column="import_id"
    )
    line = models.IntegerField()
    code = models.CharField(max_length=40)
    detail = models.TextField()
    is_warning = models.BooleanField(default=False)
    # The row's title or address, cut short.
    row = models.TextField(max_length=200, blank=True)

    class Meta:
        indexes = [models.Index(fields=["origin", "id"], name="problem_by_import")]

    def __str__(self) -> str:
        return f"line {self.line}: {self.detail}"


class ImportMerge(models.Model):
    """A row that was merged into an existing card, with its line and the card."""

    id = models.BigAutoField(primary_key=True)
    origin = models.ForeignKey(
        Import, models.CASCADE, related_name="merges", db_index=False, db_column="import_id"
    )
    line = models.IntegerField()
    # The row's title or address, cut short. The card keeps its own title, so the row's title is
    # only kept here.
    row = models.TextField(max_length=200, blank=True)
    # Null when the card has been removed.
    card = models.ForeignKey("cards.Card", models.SET_NULL, null=True, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["origin", "id"], name="merge_by_import")]

    def __str__(self) -> str:
        return f"line {self.line} into {self.card_id}"


class ImportedItem(models.Model):
    """An item that an owner imported, by its identity, and the card that it became."""

    id = models.BigAutoField(primary_key=True)
    # Without an index of its own: that of `one_item_per_identity` begins with this column.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", db_index=False
    )
    # A digest of `source#guid`.
    identity = models.UUIDField()
    # Null when the card has been removed.
    card = models.ForeignKey("cards.Card", models.SET_NULL, null=True, related_name="imported_as")
    # Digests of the rows that were written into the card. Importing such a row again changes
    # nothing, even if the curator has edited the card since.
    digests = ArrayField(models.UUIDField(), default=list, db_default=[])
    # The identity of the parent item; set to null once the cards are linked.
    parent = models.UUIDField(null=True)

    class Meta:
        constraints = [
            # An item imported twice, even by two imports at once, must become one card.
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
    """A web feed with the state of fetching it, once for all its subscribers."""

    id = models.BigAutoField(primary_key=True)
    url = models.TextField(max_length=2048)
    # From the last response, for conditional requests.
    etag = models.TextField(max_length=1000, blank=True)
    last_modified = models.TextField(max_length=100, blank=True)
    requested_at = models.DateTimeField(null=True, blank=True)
    refreshed_at = models.DateTimeField(null=True, blank=True)
    next_refresh = models.DateTimeField()
    failures = models.IntegerField(default=0)  # in a row
    error = models.TextField(blank=True)

    class Meta:
        constraints = [
            # Users who subscribe to a feed at once must share one row, and so one fetch.
            models.UniqueConstraint(fields=["url"], name="one_feed_per_address"),
        ]
        indexes = [models.Index(fields=["next_refresh"], name="feed_due")]

    def __str__(self) -> str:
        # Without the rest of the address, which may contain a secret.
        return f"feed {self.pk} of {urlsplit(self.url).hostname}"


class FeedSubscription(models.Model):
    """A user's subscription to a web feed, whose new entries become the user's cards."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="subscriptions", db_index=False
    )
    feed = models.ForeignKey(WebFeed, models.CASCADE, related_name="subscriptions")
    title = models.TextField(max_length=500, blank=True)
    # `collection` and `visibility` of the cards, as in Import.options.
    options = models.JSONField(default=dict)
    # Whether the subscriber has all current entries. Until then, the feed is fetched without
    # conditional headers, because "not modified" would withhold those entries.
    caught_up = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # A user who subscribes twice must not get each entry twice.
            models.UniqueConstraint(fields=["owner", "feed"], name="one_subscription_per_feed"),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="subscription_by_owner")]

    def __str__(self) -> str:
        return f"subscription {self.pk}"
