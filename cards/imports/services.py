"""What people do with imports and subscriptions."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from accounts.models import User
from cards.imports import completion, quotas, turns
from cards.imports.items import Item
from cards.imports.models import FeedSubscription, Import, ImportFile
from cards.imports.subscribing import subscribe, subscription_of


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
    """Take a file, or the address of one (`source`), to be read by a worker.

    What it is is found out there: nothing of it is looked at here. Raises QuotaExceeded.
    """
    wishes: dict[str, Any] = {"dry_run": dry_run, "visibility": visibility}
    wishes["collection"] = str(collection) if collection else None
    kind = Import.Source.URL if content is None else Import.Source.UPLOAD
    job = Import(
        owner=owner,
        source_kind=kind,
        source=source,
        format=format,
        size=len(content or b""),
        announced=False,
        options={name: value for name, value in wishes.items() if value},
    )
    with transaction.atomic():
        quotas.open_another(owner, bytes=job.size)
        job.save(force_insert=True)
        if content is not None:
            ImportFile.objects.create(origin=job, content=content)
        turns.announce(owner.pk)
    return job


def cancel_import(job: Import) -> bool:
    """End an import; the answer is whether it was still going on."""
    return completion.cancel(job)


def remove_import(job: Import) -> None:
    """Take an import out of the history; the cards that it brought stay."""
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
    """Subscribe to a feed, which is fetched soon; who does already keeps what they have.

    The answer is the subscription and whether it is new. Raises ValidationError for an address
    that is never fetched, and for one too many.
    """
    options = {"collection": str(collection) if collection else None, "visibility": visibility}
    item = Item(line=0, guid=url, feed=url, title=title)
    with transaction.atomic():
        new, refused = subscribe(owner, [item], options=options)
    if refused:
        raise ValidationError({"url": [ValidationError(refused[0].detail, code=refused[0].code)]})
    return subscription_of(owner, url), bool(new)


def unsubscribe(subscription: FeedSubscription) -> None:
    """End a subscription; the cards that it brought stay."""
    FeedSubscription.objects.filter(pk=subscription.pk).delete()
