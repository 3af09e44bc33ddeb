"""Events of imports and of the web feeds that people subscribe to."""

from __future__ import annotations

from cards.events import AboutImport
from eventbook import event_type


@event_type("import.requested", version=1)
class ImportRequested(AboutImport):
    """A user submitted a file or an address for import."""

    source: str


@event_type("import.batch_ready", version=1)
class ImportBatchReady(AboutImport):
    """A batch of an import's rows has been read and can be added as cards."""

    number: int
    source: str


@event_type("web_feed.due", version=1)
class WebFeedDue:
    """It is time to check a web feed for new items."""

    feed_id: int
    host: str

    @property
    def subject(self) -> str:
        return f"web-feeds/{self.feed_id}"
