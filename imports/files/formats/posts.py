"""Read the XML of Delicious and Pinboard, in which each bookmark is a `post` tag."""

from __future__ import annotations

from collections.abc import Iterator

from imports.files.documents import Document
from imports.files.fields.field_names import normalized
from imports.files.fields.rows import Fields, item_of
from imports.files.items import Row
from imports.files.markup_tags import TagScanner


def read(document: Document) -> Iterator[Row]:
    """Yield the bookmarks of a file."""
    tags = TagScanner(document.text, is_xml=True)
    for tag in tags:
        if tag.name == "post" and not tag.closes:
            named = ((normalized(name), value) for name, value in tag.attributes.items())
            yield item_of(Fields(named), line=tags.line_of(tag.begin), source="json")
