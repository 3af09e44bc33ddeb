from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers

from accounts.models import Visibility
from api.serializers import ModelSerializer, Serializer
from cards.limits import LINK_LENGTH
from imports import limits
from imports.files.formats import FORMATS
from imports.models import Import, ImportMerge, ImportProblem
from imports.subscriptions.subscribing import address_of
from outside.addresses import normalized
from outside.errors import Refused

MERGED = (
    "You saved this page before. The note, tags and collections of this row were added to its"
    " card, which kept its title."
)
BY_DEFAULT = (
    "Visibility of all cards. If left out, that of each row, else `import_visibility` of users/me/."
)


class FetchedSerializer(Serializer):
    """A request with a `url` to fetch."""

    def validate_url(self, url: str) -> str:
        """Return the normalized address; refuse one that the site never fetches."""
        try:
            return normalized(address_of(url))
        except Refused as reason:
            raise serializers.ValidationError(str(reason), code="invalid_url") from None


class HowToImportSerializer(FetchedSerializer):
    """The options of an import."""

    format = serializers.ChoiceField(
        [(known.name, known.label) for known in FORMATS.values()],
        required=False,
        help_text="Detected from the content if left out.",
    )
    dry_run = serializers.BooleanField(
        required=False, default=False, help_text="Only count rows and show the first ones."
    )
    collection = serializers.UUIDField(
        required=False, help_text="One of your collections; all cards join it."
    )
    visibility = serializers.ChoiceField(Visibility.choices, required=False, help_text=BY_DEFAULT)


class ImportedFileSerializer(HowToImportSerializer):
    """A file to import, as multipart/form-data."""

    file = serializers.FileField(max_length=300, help_text=f"Up to {limits.IMPORT_BYTES} bytes.")


class ImportedAddressSerializer(HowToImportSerializer):
    """The address of a file or feed to import, as JSON."""

    url = serializers.CharField(max_length=LINK_LENGTH)


class ImportInputSerializer(ImportedFileSerializer, ImportedAddressSerializer):
    """A file, or the address of one."""

    file = serializers.FileField(required=False, max_length=300)
    url = serializers.CharField(required=False, max_length=LINK_LENGTH)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Raise ValidationError unless exactly one of file and url is given."""
        if ("file" in attrs) == ("url" in attrs):
            raise serializers.ValidationError({"file": "Give either a file or a url."})
        return attrs


class PreviewRowSerializer(Serializer):
    line = serializers.IntegerField()
    type = serializers.ChoiceField(["URL", "NOTE", "REFERENCE", "SUBSCRIPTION"])
    title = serializers.CharField()
    url = serializers.CharField(allow_null=True)
    text = serializers.CharField()
    tags = serializers.ListField(child=serializers.CharField())
    collections = serializers.ListField(child=serializers.CharField())
    visibility = serializers.ChoiceField(Visibility.choices)
    created_at = serializers.DateTimeField(allow_null=True)


class PreviewSerializer(Serializer):
    """The result of a dry run: the first rows, and how a table's columns were understood."""

    rows = PreviewRowSerializer(many=True)
    columns = serializers.DictField(child=serializers.CharField())


COUNTED = ("read", "added", "known", "merged", "failed", "warned")


class CountsSerializer(Serializer):
    """Numbers of rows: read so far, by result, and waiting to be added.

    `known` rows brought nothing new; `merged` rows changed an existing card, for example its tags.
    """

    read = serializers.IntegerField()
    added = serializers.IntegerField()
    known = serializers.IntegerField()
    merged = serializers.IntegerField()
    failed = serializers.IntegerField()
    warned = serializers.IntegerField(
        help_text="Rows of any result with a mark that was not understood; they are private."
    )
    waiting = serializers.IntegerField()


class ImportSerializer(ModelSerializer[Import]):
    """An import and its progress."""

    kind = serializers.ChoiceField(Import.Source.choices, source="source_kind")
    dry_run = serializers.BooleanField()
    counts = CountsSerializer()
    rows_per_second = serializers.FloatField(allow_null=True)
    seconds_left = serializers.IntegerField(
        allow_null=True, help_text="Null until the whole file is read."
    )
    dead_letters = serializers.IntegerField(
        help_text="Deliveries that used up their attempts; `resume/` retries them."
    )
    preview = PreviewSerializer(allow_null=True)

    class Meta:
        model = Import
        fields = (
            "id", "kind", "source", "format", "status", "error", "dry_run", "size", "counts",
            "rows_per_second", "seconds_left", "dead_letters", "preview", "created_at",
            "started_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: Import) -> dict[str, Any]:
        """Return the fields, with the current progress."""
        rate, left = progress_of(instance)
        return {
            "id": str(instance.pk),
            "kind": instance.source_kind,
            "source": instance.source,
            "format": instance.format,
            "status": instance.status,
            "error": instance.error,
            "dry_run": bool(instance.options.get("dry_run")),
            "size": instance.size,
            "counts": {name: getattr(instance, name) for name in COUNTED}
            | {"waiting": waiting(instance)},
            "rows_per_second": rate,
            "seconds_left": left,
            "dead_letters": self.context.get("dead_letters", {}).get(str(instance.pk), 0),
            "preview": instance.preview or None,
            "created_at": instance.created_at,
            "started_at": instance.started_at,
            "finished_at": instance.finished_at,
        }


def waiting(job: Import) -> int:
    """Return the number of rows that are read but not yet added."""
    return 0 if job.is_finished else max(0, job.read - done(job))


def done(job: Import) -> int:
    """Return the number of rows that have a result."""
    return job.added + job.known + job.merged + job.failed


def progress_of(job: Import) -> tuple[float | None, int | None]:
    """Return an import's rows per second, and its seconds left; None where unknown."""
    if job.started_at is None:
        return None, None
    seconds = ((job.finished_at or timezone.now()) - job.started_at).total_seconds()
    rate = round(done(job) / seconds, 1) if seconds > 0 and done(job) else None
    if job.is_finished:
        return rate, 0
    known = rate and job.status == Import.Status.RUNNING
    return rate, round(waiting(job) / rate) if known and rate else None


class QuotaSerializer(Serializer):
    used = serializers.IntegerField()
    limit = serializers.IntegerField()


class UsageSerializer(Serializer):
    """The client's quotas: open imports, today's usage (UTC), and subscriptions."""

    open = QuotaSerializer(help_text="Imports that have not ended.")
    bytes = QuotaSerializer(help_text="Size of the files imported today.")
    rows = QuotaSerializer(help_text="Rows imported today.")
    collections = QuotaSerializer(help_text="Collections created by imports today.")
    subscriptions = QuotaSerializer()
    resets_at = serializers.DateTimeField(help_text="When the daily quotas reset.")


class RowSerializer(Serializer):
    """A row that failed, was merged into an existing card, or has a warning."""

    line = serializers.IntegerField()
    code = serializers.CharField(help_text="The reason for a failure or warning, or `merged`.")
    detail = serializers.CharField()
    row = serializers.CharField(help_text="The row's title or address, cut short.")
    card = serializers.UUIDField(
        allow_null=True, help_text="The card that a merged row changed; null if it was removed."
    )

    def to_representation(self, instance: ImportProblem | ImportMerge) -> dict[str, Any]:
        """Return the fields of a problem, a warning or a merge."""
        fields = {"code": "merged", "detail": MERGED, "card": getattr(instance, "card_id", None)}
        if isinstance(instance, ImportProblem):
            fields |= {"code": instance.code, "detail": instance.detail}
        return {"line": instance.line, **fields, "row": instance.row}
