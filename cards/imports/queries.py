"""Reads of imports and subscriptions: only one's own."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count, QuerySet

from accounts.models import User
from cards.imports.models import FeedSubscription, Import, ImportMerge, ImportProblem
from events.models import Delivery


def imports_of(owner: User) -> QuerySet[Import]:
    """Return what a person imported, and what their feeds brought."""
    return Import.objects.filter(owner=owner)


def problems_of(job: Import) -> QuerySet[ImportProblem]:
    """Return the rows of an import that failed."""
    return ImportProblem.objects.filter(origin=job, is_warning=False)


def warnings_of(job: Import) -> QuerySet[ImportProblem]:
    """Return what the owner of an import should know of rows, whatever became of them."""
    return ImportProblem.objects.filter(origin=job, is_warning=True)


def merges_of(job: Import) -> QuerySet[ImportMerge]:
    """Return the rows of an import that were merged into cards that were there."""
    return ImportMerge.objects.filter(origin=job)


def subscriptions_of(owner: User) -> QuerySet[FeedSubscription]:
    """Return the feeds that a person subscribes to."""
    return FeedSubscription.objects.filter(owner=owner).select_related("feed", "owner")


def dead_letters_of(ids: Iterable[UUID]) -> QuerySet[Delivery]:
    """Return the deliveries of imports that used up their attempts."""
    subjects = [f"imports/{id}" for id in ids]
    dead = Delivery.objects.filter(queue="imports", state=Delivery.State.DEAD)
    return dead.filter(event__subject__in=subjects)


def count_dead_letters(ids: Iterable[UUID]) -> dict[str, int]:
    """Return how many dead letters each import has, by its id, if it has any."""
    counted = dead_letters_of(ids).values("event__subject").annotate(count=Count("id"))
    return {row["event__subject"].removeprefix("imports/"): row["count"] for row in counted}
