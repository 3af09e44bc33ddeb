"""Read the XML of Delicious and Pinboard, in which each bookmark is a `post` tag."""

from __future__ import annotations

from collections.abc import Iterator

from imports.files.documents import Document
from imports.files.formats import fields
from imports.files.formats.tags import Tags
from imports.files.items import Row


def read(document: Document) -> Iterator[Row]:
    """Yield the bookmarks of a file."""
    tags = Tags(document.text, is_xml=True)
    for tag in tags:
        if tag.name == "post" and not tag.closes:
            named = ((fields.normal(name), value) for name, value in tag.attributes.items())
            yield fields.item_of(fields.Fields(named), line=tags.line_of(tag.begin), source="json")
