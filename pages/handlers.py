"""The event handlers that fetch pages and query registries."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from django.utils import timezone

from eventbook import Recorded, handler
from pages.events import PageAdded, PageFetchRequested, PageIdentified
from pages.metadata import services
from pages.signals import page_added, page_fetch_requested, page_identified

# Pages of one host share a rate limit, and so do queries of one registry.
BY_HOST, BY_REGISTRY = attrgetter("host"), attrgetter("registry")


@handler(page_added, queue="metadata", name="metadata.fetch_page", atomic=False, group=BY_HOST)
@handler(
    page_fetch_requested, queue="metadata", name="metadata.fetch_again", atomic=False, group=BY_HOST
)
def fetch(events: Sequence[Recorded[PageAdded | PageFetchRequested]]) -> None:
    """Fetch a new page's metadata, once for all users who save the page, or fetch it again.

    The site sends an unchanged page only as a status (304).
    """
    for recorded in events:
        services.fetch_page(url_id=recorded.event.url_id)


@handler(
    page_identified,
    queue="metadata",
    name="metadata.consult_registry",
    atomic=False,
    group=BY_REGISTRY,
)
def consult_registry(events: Sequence[Recorded[PageIdentified]]) -> None:
    """Look up the work on a page in a registry."""
    for recorded in events:
        event = recorded.event
        services.consult_registry(
            url_id=event.url_id,
            registry=event.registry,
            identifier=event.identifier,
            age=timezone.now() - recorded.time,
        )
