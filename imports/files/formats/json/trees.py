"""Read the JSON trees of folders and bookmarks that browsers store."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
Leaf = tuple[tuple[str, ...], dict[str, Any]]


def chrome(document: Document) -> Iterator[Row]:
    """Yield the bookmarks of Chrome's own bookmarks file."""
    roots = object_of(document).get("roots")
    trees = (
        [root for root in roots.values() if isinstance(root, dict)]
        if isinstance(roots, dict)
        else []
    )
    for number, leaf in enumerate(_leaves(trees, "url", "name"), start=1):
        if isinstance(leaf, Problem):
            yield _numbered(leaf, number)
            continue
        path, node = leaf
        url = text_of(node, "url")
        yield Item(
            line=number,
            guid=url,
            title=one_line(node.get("name")),
            url=url,
            collections=(path,) if path else (),
            added_at=chrome_moment(node.get("date_added")),
        )


def firefox(document: Document) -> Iterator[Row]:
    """Yield the bookmarks of a Firefox backup."""
    leaves = _leaves([document.json], "uri", "title", roots=FIREFOX_ROOTS)
    for number, leaf in enumerate(leaves, start=1):
        if isinstance(leaf, Problem):
            yield _numbered(leaf, number)
            continue
        path, node = leaf
        url = text_of(node, "uri")
        yield Item(
            line=number,
            guid=url,
            title=one_line(node.get("title")),
            url=url,
            text=_note_of(node),
            tags=strings(node.get("tags")),
            collections=(path,) if path else (),
            added_at=moment(node.get("dateAdded")),
        )


def _note_of(node: dict[str, Any]) -> str:
    notes = [note for note in members_of(node, "annos") if isinstance(note, dict)]
    named = [note for note in notes if note.get("name", DESCRIPTION) == DESCRIPTION]
    return next((clean(note.get("value")) for note in named if clean(note.get("value"))), "")


def _numbered(problem: Problem, number: int) -> Problem:
    return Problem(line=number, code=problem.code, detail=problem.detail, label=problem.label)


def _leaves(trees: Any, mark: str, title: str, roots: Any = None) -> Iterator[Leaf | Problem]:
    """Yield the nodes that have an address, each with its path of folders."""
    waiting: list[tuple[tuple[str, ...], Any, bool]]
    waiting = [((), tree, True) for tree in reversed(list(trees))]
    while waiting:
        path, node, is_root = waiting.pop()
        if not isinstance(node, dict):
            yield Problem(line=0, code="malformed", detail=NOT_AN_OBJECT)
            continue
        children = node.get("children")
        if isinstance(node.get(mark), str):
            yield path, node
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
        waiting += [(inner, child, False) for child in reversed(children)]
