"""The event handlers that fetch pages and query registries."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from eventbook import Recorded, handler
from pages.events import PageAdded, PageFetchRequested, PageIdentified
from pages.metadata import services
from pages.signals import page_added, page_fetch_requested, page_identified


def host_of(event: PageAdded | PageFetchRequested) -> str:
    """Return the page's host: pages of one host share a rate limit."""
    return event.host


def registry_of(event: PageIdentified) -> str:
    """Return the registry: queries of one registry share a rate limit."""
    return event.registry


@handler(page_added, queue="metadata", name="metadata.fetch_page", atomic=False, group=host_of)
def fetch_page(events: Sequence[Recorded[PageAdded]]) -> None:
    """Fetch a new page's metadata, once for all users who save the page."""
    for recorded in events:
        services.fetch_page(url_id=recorded.event.url_id)


@handler(
    page_fetch_requested, queue="metadata", name="metadata.fetch_again", atomic=False, group=host_of
)
def fetch_again(events: Sequence[Recorded[PageFetchRequested]]) -> None:
    """Fetch a page again if it has changed."""
    for recorded in events:
        services.fetch_page(url_id=recorded.event.url_id)


@handler(
    page_identified,
    queue="metadata",
    name="metadata.consult_registry",
    atomic=False,
    group=registry_of,
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
