"""Read a page's JSON-LD metadata in the vocabulary of https://schema.org/."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pages.metadata import cleaning, identifiers

Node = Mapping[str, Any]

MAX_DEPTH, MAX_NODES = 6, 500
# The types of a page's main work, the preferred one first.
WORKS = (
    "ScholarlyArticle", "MedicalScholarlyArticle", "Book", "Dataset", "Report", "Thesis",
    "TechArticle", "NewsArticle", "ReportageNewsArticle", "OpinionNewsArticle", "BlogPosting",
    "LiveBlogPosting", "AnalysisNewsArticle", "Article", "PodcastEpisode", "VideoObject",
    "CreativeWork", "WebPage", "ItemPage",
)  # fmt: skip
RANKS = {name: rank for rank, name in enumerate(WORKS)}


def main_work(scripts: Sequence[str]) -> Node:
    """Return the JSON-LD node of the page's main work; empty if there is none."""
    nodes = [node for script in scripts for node in _nodes(_parsed(script), MAX_DEPTH)]
    ranked = [(rank, node) for node in nodes[:MAX_NODES] if (rank := _rank(node)) is not None]
    return min(ranked, key=lambda pair: pair[0])[1] if ranked else {}


def _parsed(script: str) -> Any:
    """Return the value of a JSON-LD script, or None if it is not JSON."""
    # Some pages wrap the JSON in an HTML comment, as was once usual for scripts.
    script = script.strip().removeprefix("<!--").removesuffix("-->").strip().rstrip(";")
    try:
        return json.loads(script, strict=False)
    except (ValueError, RecursionError):
        return None


def _nodes(value: Any, depth: int) -> Iterator[Node]:
    """Yield the nodes of lists, of `@graph` and of `mainEntity`.

    Nodes in other properties are skipped: they are not the page's own work.
    """
    if depth == 0:
        return
    if isinstance(value, list):
        for each in value[:MAX_NODES]:
            yield from _nodes(each, depth - 1)
    elif isinstance(value, dict):
        yield value
        for name in ("@graph", "mainEntity"):
            yield from _nodes(value.get(name), depth - 1)


def _rank(node: Node) -> int | None:
    kinds = [kind for kind in _as_list(node.get("@type")) if isinstance(kind, str)]
    ranks = [RANKS[kind] for each in kinds if (kind := each.rpartition("/")[2]) in RANKS]
    return min(ranks, default=None)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def texts(value: Any, *names: str) -> list[str]:
    """Return the strings in a value; for objects, the string under the first name present."""
    found = (_text(each, names) for each in _as_list(value)[:MAX_NODES])
    return [text for text in found if isinstance(text, str)]


def _text(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return next((value[name] for name in names if isinstance(value.get(name), str)), None)
    return value


def authors(node: Node) -> list[str]:
    """Return the names of a work's authors, or else of its creators."""
    for key in ("author", "creator"):
        people = [
            name
            for each in _as_list(node.get(key))[:MAX_NODES]
            for name in ([each] if isinstance(each, str) else _people(each))
        ]
        if found := cleaning.names(people):
            return found
    return []


def _people(value: Any) -> list[str]:
    """Return the names in a person object; some pages put several people into one object."""
    if not isinstance(value, dict):
        return []
    if named := texts(value.get("name")):
        return named
    parts = (next(iter(texts(value.get(key))), "") for key in ("givenName", "familyName"))
    return [" ".join(filter(None, parts))]


def container_name(node: Node, kind: str) -> str:
    """Return the name of the work of type `kind` (for example a journal) that contains `node`."""
    part: Any = node.get("isPartOf")
    for _ in range(4):
        part = next((each for each in _as_list(part) if isinstance(each, dict)), None)
        if part is None:
            return ""
        if kind in _as_list(part.get("@type")):
            return next(iter(texts(part.get("name"))), "")
        part = part.get("isPartOf")
    return ""


def identifier(node: Node, kind: str) -> str:
    """Return a work's identifier of that kind, or an empty string."""
    read = identifiers.READERS[kind]
    values = [*texts(node.get(kind)), *texts(node.get("sameAs")), *texts(node.get("@id"))]
    for each in _as_list(node.get("identifier"))[:MAX_NODES]:
        if isinstance(each, dict):
            named = str(each.get("propertyID") or each.get("name") or "").lower()
            values += texts(each.get("value"), "value") if kind in named or kind == "doi" else []
        else:
            values += texts(each)
    return next((found for value in values if (found := read(value))), "")
