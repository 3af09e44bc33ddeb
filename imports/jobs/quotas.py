"""Limits on how much one user may import per UTC day, and have open at once.

Using a quota locks the user's usage row until the transaction ends. So concurrent requests and
workers are counted one after the other, and cannot exceed a limit together.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from accounts.models import User
from api.refusals import TryLater
from eventbook.database import execute
from imports.models import FeedSubscription, Import, ImportUsage

USE = """
    INSERT INTO imports_importusage AS used (owner_id, day, bytes, rows, collections)
    VALUES (%(owner)s, %(day)s, %(bytes)s, %(rows)s, %(collections)s)
    ON CONFLICT (owner_id) DO UPDATE
    SET day = excluded.day,
        bytes = excluded.bytes + CASE WHEN used.day = excluded.day THEN used.bytes ELSE 0 END,
        rows = excluded.rows + CASE WHEN used.day = excluded.day THEN used.rows ELSE 0 END,
        collections = excluded.collections
            + CASE WHEN used.day = excluded.day THEN used.collections ELSE 0 END
    RETURNING bytes, rows, collections
"""


class DailyQuota(NamedTuple):
    """A quota: the name of the setting with its limit, and its name in messages."""

    setting: str
    what: str

    @property
    def limit(self) -> int:
        """Return the limit that the setting holds."""
        limit: int = getattr(settings, self.setting)
        return limit


DAILY = {
    "bytes": DailyQuota("IMPORT_BYTES_PER_DAY", "bytes imported today"),
    "rows": DailyQuota("IMPORT_ROWS_PER_DAY", "rows imported today"),
    "collections": DailyQuota("IMPORT_COLLECTIONS_PER_DAY", "collections made by imports today"),
}
OPEN_SECONDS = 60  # `Retry-After` when too many imports are open


class QuotaExceeded(TryLater):
    """A user would exceed a quota, `code` as a word for programs; roll back, and nothing counts."""

    def __init__(self, code: str, message: str, retry_after: int) -> None:
        super().__init__(message, retry_after)
        self.code = code


def use(owner: User, **amounts: int) -> None:
    """Add to a user's usage of today: `bytes`, `rows`, `collections`. Raise QuotaExceeded.

    Call within a transaction: the usage row stays locked until its end. Without amounts, only lock.
    """
    wanted = dict.fromkeys(DAILY, 0) | amounts
    today = timezone.now().date()
    parameters: dict[str, Any] = {"owner": owner.pk, "day": today, **wanted}
    ((*counted,),) = execute(USE, parameters).rows
    for name, used in zip(DAILY, counted, strict=True):
        quota = DAILY[name]
        if wanted[name] and used > quota.limit:
            before = f"You have {used - wanted[name]} of at most {quota.limit} {quota.what}."
            seconds = int((_tomorrow() - timezone.now()).total_seconds()) + 1
            raise QuotaExceeded(name, f"{before} Import the rest after midnight UTC.", seconds)


def require_open_slot(owner: User, *, bytes: int) -> None:
    """Count an upload's bytes; raise QuotaExceeded if they, or the open imports, are too many."""
    use(owner, bytes=bytes)
    limit = settings.IMPORTS_OPEN_PER_PERSON
    if (used := open_imports(owner)) >= limit:
        message = (
            f"You have {used} of at most {limit} imports that have not ended. Wait until one has"
            " ended, or cancel one."
        )
        raise QuotaExceeded("open", message, OPEN_SECONDS)


def open_imports(owner: User) -> int:
    """Return the number of a user's open imports, without those from feeds."""
    mine = Import.objects.filter(owner=owner, status__in=Import.OPEN)
    return mine.exclude(source_kind=Import.Source.FEED).count()


def usage(owner: User) -> dict[str, Any]:
    """Return a user's usage and limit of each quota, and when the daily quotas reset."""
    today = timezone.now().date()
    found = ImportUsage.objects.filter(owner=owner, day=today).values(*DAILY).first()
    used = found or dict.fromkeys(DAILY, 0)
    daily = {name: {"used": used[name], "limit": quota.limit} for name, quota in DAILY.items()}
    subscriptions = FeedSubscription.objects.filter(owner=owner).count()
    return {
        "open": {"used": open_imports(owner), "limit": settings.IMPORTS_OPEN_PER_PERSON},
        **daily,
        "subscriptions": {"used": subscriptions, "limit": settings.SUBSCRIPTIONS_PER_PERSON},
        "resets_at": _tomorrow(),
    }


def _tomorrow() -> datetime:
    day = timezone.now().date() + timedelta(days=1)
    return datetime.combine(day, time(), tzinfo=timezone.now().tzinfo)
