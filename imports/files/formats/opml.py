"""Read OPML: a feed reader's subscriptions, and outlines with links (http://opml.org/spec2.opml).

Feed readers often write invalid XML, for example bare ampersands. So OPML is read tag by tag
instead of by an XML parser, and a broken tag harms no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imports import limits
from imports.files.documents import Document
from imports.files.errors import ENTITIES, Unreadable, too_deep
from imports.files.fields.folders import Folder, collection_details_of, path_of, privacy_within
from imports.files.fields.moments import moment
from imports.files.fields.privacy import privacy_of
from imports.files.items import Item, Problem, Row, clean, one_line
from imports.files.markup_tags import TagScanner

NO_ADDRESS = "This outline has no address."


def read(document: Document) -> Iterator[Row]:
    """Yield the outlines that have an address; outlines around them are folders.

    Raise Unreadable for declared entities, too deep nesting, and a tag that never ends.
    """
    text = document.text
    if "<!entity" in text.lower():
        raise Unreadable("entities", ENTITIES)
    tags, path = TagScanner(text, is_xml=True), list[Folder]()
    for tag in tags:
        if tag.name != "outline":
            continue
        if tag.closes:
            del path[-1:]
            continue
        line = tags.line_of(tag.begin)
        row = row_of(tag.attributes, path, line=line, is_folder=not tag.is_alone)
        if row:
            yield row
        if tag.is_alone:
            continue
        if len(path) >= limits.IMPORT_DEPTH:
            raise too_deep("Elements", line=line)
        name = "" if row else title_of(tag.attributes)
        description = clean(tag.attributes.get("description"))
        path.append(Folder(name, privacy_of(tag.attributes), description))


def title_of(attributes: Mapping[str, str]) -> str:
    """Return the title of an outline."""
    return one_line(attributes.get("title") or attributes.get("text"))


def row_of(
    attributes: Mapping[str, str], path: list[Folder], *, line: int, is_folder: bool
) -> Row | None:
    """Return the row of an outline: a subscription, a link or a problem; None for a folder."""
    feed = clean(attributes.get("xmlurl"))
    url = clean(attributes.get("url") or attributes.get("htmlurl"))
    title = title_of(attributes)
    if not (feed or url):
        problem = Problem(line=line, code="required", detail=NO_ADDRESS, label=title[:200])
        return None if is_folder else problem
    privacy = privacy_within(path, privacy_of(attributes))
    return Item(
        line=line,
        guid=feed or url,
        source="subscription" if feed else "web",
        title=title,
        url="" if feed else url,
        feed=feed,
        text=clean(attributes.get("description") or attributes.get("_note")),
        tags=tuple(attributes.get("category", "").split(",")),
        collections=path_of(path),
        collection_details=collection_details_of(path),
        added_at=moment(attributes.get("created")),
        private=privacy.private,
        warning=privacy.warning,
    )
