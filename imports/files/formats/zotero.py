"""Read Zotero's RDF: references, with their collections and attached notes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from imports import limits
from imports.files.bibliography import NUMBERED, doi_in, reference_item
from imports.files.documents import Document
from imports.files.elements import Node, elements
from imports.files.errors import Unreadable
from imports.files.fields.dates import date_of
from imports.files.fields.moments import moment
from imports.files.items import Item, Row, clean, fingerprint, one_line
from imports.files.markup import plain_text

TYPES = {
    "journalArticle": "article-journal", "magazineArticle": "article-magazine",
    "newspaperArticle": "article-newspaper", "book": "book", "bookSection": "chapter",
    "conferencePaper": "paper-conference", "thesis": "thesis", "report": "report",
    "webpage": "webpage", "blogPost": "post-weblog", "preprint": "article",
    "manuscript": "manuscript", "patent": "patent", "presentation": "speech",
    "computerProgram": "software", "dataset": "dataset", "standard": "standard",
    "encyclopediaArticle": "entry-encyclopedia", "dictionaryEntry": "entry-dictionary",
    "film": "motion_picture", "videoRecording": "motion_picture", "artwork": "graphic",
    "map": "map", "case": "legal_case", "statute": "legislation", "bill": "bill",
    "letter": "personal_communication",
}  # fmt: skip
PEOPLE = {
    "authors": "author", "editors": "editor", "seriesEditors": "editor",
    "translators": "translator",
    # Zotero has other names for the creators of works that are not written.
    "inventors": "author", "presenters": "author", "programmers": "author", "artists": "author",
    "cartographers": "author", "directors": "author", "interviewees": "author",
    "performers": "author", "podcasters": "author", "contributors": "author",
}  # fmt: skip
# The elements that are not references.
NO_REFERENCES = {"Journal", "Collection", "Memo", "Attachment", "Series"}


def read(document: Document) -> Iterator[Row]:
    """Yield the references of a file.

    All elements are kept in memory, because the collections come last.
    """
    nodes: list[Node] = []
    fault = None
    try:
        for node in elements(document):
            nodes.append(node)
            if len(nodes) > 3 * limits.IMPORT_ROWS:
                break
    except Unreadable as error:
        if error.code != "malformed":
            raise
        fault = error
    is_empty = True
    for row in rows_of(nodes):
        is_empty = False
        yield row
    if is_empty:
        raise fault or Unreadable("no_references", "There is no reference or note in this file.")
    if fault:
        yield fault.as_problem()


def rows_of(nodes: list[Node]) -> Iterator[Row]:
    """Yield the references among some elements, and the notes that belong to no reference."""
    named = {node.about: node for node in nodes}
    paths = paths_of([node for node in nodes if node.name == "Collection"])
    attached = {
        part.attributes.get("resource", "")
        for node in nodes
        for part in node.children_named("isReferencedBy")
    }
    for node in nodes:
        if node.name not in NO_REFERENCES:
            yield item_of(node, named, paths)
            continue
        text = plain_text(node.content("value")) if node.name == "Memo" else ""
        if text and node.about not in attached:
            yield Item(
                line=node.line,
                guid=fingerprint(text),
                source="note",
                text=text,
                tags=tuple(_tags(node)),
                collections=tuple(paths.get(node.about, ())),
            )


def paths_of(collections: list[Node]) -> dict[str, list[tuple[str, ...]]]:
    """Return the paths of collections by the RDF identifier of each member."""
    named = {node.about: node for node in collections}
    above = {
        part.attributes.get("resource", ""): node.about
        for node in collections
        for part in node.children_named("hasPart")
        if part.attributes.get("resource") in named
    }
    paths = defaultdict(list)
    for node in collections:
        path, about, seen = [one_line(node.content("title"))], node.about, {node.about}
        while (about := above.get(about, "")) and about not in seen:
            seen.add(about)
            path.insert(0, one_line(named[about].content("title")))
        for part in node.children_named("hasPart"):
            if len(path) <= limits.IMPORT_DEPTH:
                paths[part.attributes.get("resource", "")].append(tuple(p for p in path if p))
    return paths


def item_of(node: Node, named: dict[str, Node], paths: Any) -> Row:
    """Return the item of a reference, with the texts of its notes."""
    about = node.about
    csl = csl_of(node, whole_of(node, named))
    url = about if about.startswith("http") else node.content("identifier", "URI", "value")
    refers = [
        named.get(part.attributes.get("resource", ""))
        for part in node.children_named("isReferencedBy")
    ]
    notes = [plain_text(memo.content("value")) for memo in refers if memo and memo.name == "Memo"]
    return reference_item(
        line=node.line,
        fields=csl,
        url=url,
        text="\n\n".join(note for note in notes if note),
        tags=tuple(_tags(node)),
        added_at=moment(node.content("dateSubmitted")),
        collections=tuple(paths.get(about, ())),
    )


def whole_of(node: Node, named: dict[str, Node]) -> Node | None:
    """Return the element of the journal or book that contains a reference, or None."""
    within = node.find("isPartOf")
    if within is None:
        return None
    return next(iter(within.children), None) or named.get(within.attributes.get("resource", ""))


def csl_of(node: Node, whole: Node | None) -> dict[str, Any]:
    """Return a reference as CSL-JSON; `whole` is the journal or book that contains it."""
    organization = ("publisher", "Organization")
    csl: dict[str, Any] = {
        "type": TYPES.get(node.content("itemType"), "document"),
        "title": node.content("title"),
        "page": node.content("pages"),
        "abstract": node.content("abstract"),
        "edition": node.content("edition"),
        "language": node.content("language"),
        "publisher": node.content(*organization, "name"),
        "publisher-place": node.content(*organization, "adr", "Address", "locality")
        or node.content(*organization, "address", "Address", "locality"),
        "note": node.content("description"),  # Zotero's “Extra”
        "genre": node.content("type"),
        "issued": date_of(node.content("date")),
        "volume": node.content("volume"),
    }
    if whole:
        csl["container-title"] = whole.content("title")
        csl["volume"] = csl["volume"] or whole.content("volume")
        csl["issue"] = whole.content("number")
    csl["number" if csl["type"] in NUMBERED else "issue"] = node.content("number") or csl.get(
        "issue", ""
    )
    for name, target in PEOPLE.items():
        found = [person for seq in node.children_named(name) for person in _people(seq)]
        if not csl.get(target) or name == "seriesEditors":
            csl[target] = csl.get(target, []) + found
    _identifiers(csl, [node, *([whole] if whole else [])])
    return csl


def _people(sequence: Node) -> list[dict[str, str]]:
    """Return the CSL-JSON names in a sequence of persons."""
    persons = [
        item.find("Person")
        for seq in sequence.children_named("Seq")
        for item in seq.children_named("li")
    ]
    return [
        {"family": person.content("surname"), "given": person.content("givenName")}
        for person in persons
        if person
    ]


def _tags(node: Node) -> Iterator[str]:
    """Yield the tags of an element, the owner's and automatic ones."""
    for subject in node.children_named("subject"):
        yield clean(subject.text) or subject.content("AutomaticTag", "value")


def _identifiers(csl: dict[str, Any], nodes: list[Node]) -> None:
    """Add the first ISBN, ISSN and DOI among some elements."""
    for node in nodes:
        for identifier in node.children_named("identifier"):
            kind, _, value = clean(identifier.text).partition(" ")
            if kind in ("ISBN", "ISSN"):
                csl.setdefault(kind, value)
            elif kind == "DOI":
                csl.setdefault("DOI", doi_in(value))
