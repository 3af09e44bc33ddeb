"""The actions of users on imports and subscriptions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from imports.files.items import Item
from imports.jobs import completion, quotas, turns
from imports.models import FeedSubscription, Import, ImportFile
from imports.subscriptions.subscribing import subscribe, subscription_of


def request_import(
    *,
    owner: User,
    content: bytes | None = None,
    source: str = "",
    format: str = "",
    dry_run: bool = False,
    collection: UUID | None = None,
    visibility: str = "",
) -> Import:
    """Create an import of a file, or of the address in `source`, for a worker to read.

    The worker also checks the content; nothing is parsed here. Raise QuotaExceeded.
    """
    options: dict[str, Any] = {"dry_run": dry_run, "visibility": visibility}
    options["collection"] = str(collection) if collection else None
    kind = Import.Source.URL if content is None else Import.Source.UPLOAD
    job = Import(
        owner=owner,
        source_kind=kind,
        source=source,
        format=format,
        size=len(content or b""),
        announced=False,
        options={name: value for name, value in options.items() if value},
    )
    with transaction.atomic():
        quotas.require_open_slot(owner, bytes=job.size)
        job.save(force_insert=True)
        if content is not None:
            ImportFile.objects.create(origin=job, content=content)
        turns.announce(owner.pk)
    return job


def cancel_import(job: Import) -> bool:
    """End an import, keeping its cards; return whether it was still open."""
    return completion.cancel(job)


def remove_import(job: Import) -> None:
    """Delete an import, ending it if it is open; its cards stay."""
    with transaction.atomic():
        completion.cancel(job)
        Import.objects.filter(pk=job.pk).delete()
        turns.announce(job.owner_id)


def subscribe_to(
    *,
    owner: User,
    url: str,
    title: str = "",
    collection: UUID | None = None,
    visibility: str = "",
) -> tuple[FeedSubscription, bool]:
    """Subscribe to a web feed; return the subscription and whether it is new.

    An existing subscription is unchanged. A new one is fetched soon. Raise ValidationError for an
    address that the site never fetches, and beyond the limit of subscriptions.
    """
    options = {"collection": str(collection) if collection else None, "visibility": visibility}
    item = Item(line=0, guid=url, feed=url, title=title)
    with transaction.atomic():
        new, refused = subscribe(owner, [item], options=options)
        if refused:
            error = ValidationError(refused[0].detail, code=refused[0].code)
            raise ValidationError({"url": [error]})
        return subscription_of(owner, url), bool(new)


def unsubscribe(subscription: FeedSubscription) -> None:
    """End a subscription; its cards stay."""
    with transaction.atomic():
        quotas.use(subscription.owner)  # a lock: `subscribe_to` may be about to return this
        FeedSubscription.objects.filter(pk=subscription.pk).delete()
