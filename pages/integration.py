"""What other systems may tell us of pages."""

from __future__ import annotations

from dataclasses import dataclass

from eventbook import Priority, Received, receives, recording
from pages.canonical import page_at
from pages.events import PageFetchRequested
from pages.models import Url
from pages.signals import page_fetch_requested


@dataclass(frozen=True, slots=True, kw_only=True)
class PageChanged:
    """The page at an address has other contents or metadata than before."""

    url: str


@receives("commonplace.page.changed", version=1, data=PageChanged)
def page_changed(event: Received[PageChanged]) -> None:
    """Record an event to fetch the page again, if somebody has saved it publicly.

    A page that was saved privately only is not fetched: the fetch would show that it was saved.
    Raise InvalidUrl for what is no address of a web page.
    """
    page = page_at(event.data.url)
    with recording(priority=Priority.BULK):
        for url in Url.objects.filter(canonical=page.canonical, public_since__isnull=False):
            page_fetch_requested.send(
                sender=Url, event=PageFetchRequested(url_id=url.pk, host=url.host)
            )
