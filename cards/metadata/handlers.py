"""What events of pages cause."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from cards.events import PageAdded, PageExpired, PageIdentified
from cards.metadata import services
from cards.signals import page_added, page_expired, page_identified
from events.envelope import Recorded
from events.subscription import handler


def host_of(event: PageAdded | PageExpired) -> str:
    """Name what shares a rate limit: the site."""
    return event.host


def registry_of(event: PageIdentified) -> str:
    """Name what shares a rate limit: the registry."""
    return event.registry


@handler(page_added, queue="metadata", name="metadata.fetch_page", atomic=False, group=host_of)
def fetch_page(events: Sequence[Recorded[PageAdded]]) -> None:
    """Fetch a new page for what it says of itself: once, for all who save it."""
    for recorded in events:
        services.fetch_page(url_id=recorded.event.url_id)


@handler(page_expired, queue="metadata", name="metadata.fetch_again", atomic=False, group=host_of)
def fetch_again(events: Sequence[Recorded[PageExpired]]) -> None:
    """Ask whether a page has changed."""
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
    """Ask a registry for the work on a page."""
    for recorded in events:
        event = recorded.event
        services.consult_registry(
            url_id=event.url_id,
            registry=event.registry,
            identifier=event.identifier,
            age=timezone.now() - recorded.time,
        )
