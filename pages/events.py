"""Events of pages."""

from __future__ import annotations

from dataclasses import dataclass

from eventbook import event_type


@dataclass(frozen=True, slots=True, kw_only=True)
class _AboutPage:
    url_id: int

    @property
    def subject(self) -> str:
        return f"pages/{self.url_id}"


@event_type("page.added", version=1)
class PageAdded(_AboutPage):
    """A user saved a page that no user had saved before."""

    host: str


@event_type("page.expired", version=1)
class PageFetchRequested(_AboutPage):
    """A page must be fetched again.

    Its metadata is out of date, missing or hidden from a new card, or staff have asked for it.
    """

    host: str


@event_type("page.identified", version=1)
class PageIdentified(_AboutPage):
    """A page names a work by an identifier that a registry can look up."""

    registry: str
    identifier: str
