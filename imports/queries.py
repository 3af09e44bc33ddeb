"""Queries for a user's own imports and subscriptions."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count, QuerySet

from accounts.models import User
from eventbook.operate import Delivery
from imports.models import FeedSubscription, Import, ImportMerge, ImportProblem


def imports_of(owner: User) -> QuerySet[Import]:
    """Return a user's imports, including those from web feeds."""
    return Import.objects.filter(owner=owner)


def problems_of(job: Import) -> QuerySet[ImportProblem]:
    """Return the failed rows of an import."""
    return ImportProblem.objects.filter(origin=job, is_warning=False)


def warnings_of(job: Import) -> QuerySet[ImportProblem]:
    """Return the warnings about rows of an import; a warned row may have any result."""
    return ImportProblem.objects.filter(origin=job, is_warning=True)


def merges_of(job: Import) -> QuerySet[ImportMerge]:
    """Return the rows of an import that were merged into existing cards."""
    return ImportMerge.objects.filter(origin=job)


def subscriptions_of(owner: User) -> QuerySet[FeedSubscription]:
    """Return a user's subscriptions to web feeds."""
    return FeedSubscription.objects.filter(owner=owner).select_related("feed", "owner")


def dead_letters_of(ids: Iterable[UUID]) -> QuerySet[Delivery]:
    """Return the dead letters of imports: deliveries that used up their attempts."""
    subjects = [f"imports/{id}" for id in ids]
    dead = Delivery.objects.filter(queue="imports", state=Delivery.State.DEAD)
    return dead.filter(event__subject__in=subjects)


def count_dead_letters(ids: Iterable[UUID]) -> dict[str, int]:
    """Return the number of dead letters by import id, for imports that have any."""
    counted = dead_letters_of(ids).values("event__subject").annotate(count=Count("id"))
    return {row["event__subject"].removeprefix("imports/"): row["count"] for row in counted}
