"""Read the JSON trees of folders and bookmarks that browsers store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from imports import limits
from imports.files.documents import Document
from imports.files.errors import too_deep
from imports.files.fields.moments import chrome_moment, moment
from imports.files.formats.bookmarks import NO_ADDRESS
from imports.files.formats.json.values import NOT_AN_OBJECT, members_of, object_of, strings, text_of
from imports.files.items import Item, Problem, Row, clean, one_line

FIREFOX_ROOTS = {"root________", "menu________", "toolbar_____", "unfiled_____", "mobile______"}
DESCRIPTION = "bookmarkProperties/description"
# Types of nodes that are no bookmarks: folders and separators.
NO_ROWS = ("folder", "text/x-moz-place-container", "text/x-moz-place-separator")


class Branch(NamedTuple):
    """A node still to visit, with the path of its folders; roots are not named in paths."""

    path: tuple[str, ...]
    node: Any
    is_root: bool


def chrome(document: Document) -> Iterator[Row]:
    """Yield the bookmarks of Chrome's own bookmarks file."""
    roots = object_of(document).get("roots")
    values = roots.values() if isinstance(roots, dict) else ()
    trees = [root for root in values if isinstance(root, dict)]
    return _rows(_leaves(trees, "url", "name"), "url", "name")


def firefox(document: Document) -> Iterator[Row]:
    """Yield the bookmarks of a Firefox backup."""
    leaves = _leaves([document.json], "uri", "title", roots=FIREFOX_ROOTS)
    return _rows(leaves, "uri", "title")


def _rows(leaves: Iterator[Branch | Problem], address: str, title: str) -> Iterator[Row]:
    """Yield the rows of leaves and problems, numbered from 1.

    `address` and `title` are the names of the members with the address and the title.
    """
    for number, leaf in enumerate(leaves, start=1):
        if isinstance(leaf, Problem):
            yield replace(leaf, line=number)
            continue
        node, url = leaf.node, text_of(leaf.node, address)
        yield Item(
            line=number,
            guid=url,
            title=one_line(node.get(title)),
            url=url,
            text=_note_of(node),
            tags=strings(node.get("tags")),
            collections=(leaf.path,) if leaf.path else (),
            # The first is Chrome's.
            added_at=chrome_moment(node.get("date_added")) or moment(node.get("dateAdded")),
        )


def _note_of(node: dict[str, Any]) -> str:
    notes = [note for note in members_of(node, "annos") if isinstance(note, dict)]
    named = [note for note in notes if note.get("name", DESCRIPTION) == DESCRIPTION]
    return next((clean(note.get("value")) for note in named if clean(note.get("value"))), "")


def _leaves(trees: Any, mark: str, title: str, roots: Any = None) -> Iterator[Branch | Problem]:
    """Yield the nodes that have an address, each with its path of folders."""
    waiting = [Branch((), tree, is_root=True) for tree in reversed(list(trees))]
    while waiting:
        path, node, is_root = branch = waiting.pop()
        if not isinstance(node, dict):
            yield Problem(line=0, code="malformed", detail=NOT_AN_OBJECT)
            continue
        children = node.get("children")
        if isinstance(node.get(mark), str):
            yield branch
        elif not isinstance(children, list) and node.get("type") not in NO_ROWS and not is_root:
            name = one_line(node.get(title))[:200]
            yield Problem(line=0, code="required", detail=NO_ADDRESS, label=name)
        if not isinstance(children, list):
            continue
        is_root = is_root if roots is None else node.get("guid") in roots or is_root
        name = one_line(node.get(title))
        inner = path if is_root or not name else (*path, name)
        if len(inner) > limits.IMPORT_DEPTH:
            raise too_deep("Folders")
        waiting += [Branch(inner, child, is_root=False) for child in reversed(children)]
