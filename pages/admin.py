"""The admin pages of web pages, their metadata, and robots.txt files.

Opening the admin page of a private web page, or of its metadata, is logged.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib import admin
from django.db.models import Exists, Func, OuterRef, QuerySet, Value
from django.http import HttpRequest
from django.utils.text import Truncator

from accounts.models import Visibility
from accounts.staff.reading import LogsReading
from eventbook.operate import ReadOnlyAdmin
from pages.metadata import refreshing
from pages.models import Metadata, Robots, Url

Row = TypeVar("Row", Url, Metadata)


class PageRowsAdmin(LogsReading, ReadOnlyAdmin[Row]):
    """Rows of pages, which staff can have fetched again.

    A page is private while it has no public card; subclasses then hide its address in lists.
    """

    page = "pk"  # the field that holds the page's id
    actions = ("fetch_again",)

    def has_fetch_permission(self, request: HttpRequest) -> bool:
        """Return whether a user may fetch pages again: the permission to change them decides."""
        return request.user.has_perm("pages.change_url")

    @admin.action(description="Fetch again", permissions=["fetch"])
    def fetch_again(self, request: HttpRequest, queryset: QuerySet[Row]) -> None:
        """Record an event for each page; a worker then fetches the page again."""
        count = refreshing.fetch_again(Url.objects.filter(pk__in=queryset.values(self.page)))
        self.message_user(request, f"{count} pages will be fetched again.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Row]:
        """Annotate each row with `is_public`: whether the page has a public card."""
        # `cards` is the reverse relation of Card.url.
        public = Url.objects.filter(pk=OuterRef(self.page), cards__visibility=Visibility.PUBLIC)
        rows: QuerySet[Row] = super().get_queryset(request).annotate(is_public=Exists(public))
        return rows

    def is_private(self, obj: Any) -> bool:
        """Return whether the page has no public card."""
        return not obj.is_public


@admin.register(Url)
class UrlAdmin(PageRowsAdmin[Url]):
    """List pages, and let staff fetch their metadata again."""

    list_display = ("address", "created_at")
    search_fields = ("canonical__exact", "host__exact")
    search_help_text = "A host or a canonical URL, each in full."
    ordering = ("-id",)

    @admin.display(description="page")
    def address(self, page: Url) -> str:
        """Return the page's address, or only its id if the page is private."""
        return f"private page {page.pk}" if self.is_private(page) else page.canonical


@admin.register(Metadata)
class MetadataAdmin(PageRowsAdmin[Metadata]):
    """Show the metadata of pages, or why fetching failed, and let staff fetch it again."""

    page = "url_id"
    list_display = ("short_title", "host", "status", "error", "fetched_at", "expires_at")
    list_filter = ("status", "error_code", "registry", "content_type")
    list_select_related = ("url",)
    search_fields = ("url__canonical__exact", "url__host__exact", "doi__exact")
    search_help_text = "A host, a canonical URL or a DOI, each in full."
    ordering = ("-url_id",)

    @admin.display(description="page")
    def short_title(self, metadata: Metadata) -> str:
        """Return the page's title or address, cut to 60 characters; its id if it is private."""
        if self.is_private(metadata):
            return f"private page {metadata.pk}"
        return Truncator(metadata.title or metadata.url.canonical).chars(60)

    @admin.display(description="host")
    def host(self, metadata: Metadata) -> str:
        """Return the page's host, or a dash if the page is private."""
        return "–" if self.is_private(metadata) else metadata.url.host


@admin.register(Robots)
class RobotsAdmin(ReadOnlyAdmin[Robots]):
    """Show the cached robots.txt of each site. A deleted one is fetched again when needed."""

    list_display = ("origin", "fetched_at")
    search_fields = ("origin__exact",)
    search_help_text = "A site, for example https://example.org."
    can_delete = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Robots]:
        """Leave out sites without a public page: their names would reveal private pages."""
        site: Any = Func(OuterRef("origin"), Value("://([^:/]+)"), function="substring")
        public = Url.objects.filter(host=site, cards__visibility=Visibility.PUBLIC)
        return super().get_queryset(request).filter(Exists(public))
