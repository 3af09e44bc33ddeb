"""Every format, told by its content and read: on real files where there are some."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from imports.files.documents import Document
from imports.files.errors import Unreadable
from imports.files.formats import FORMATS, rows
from imports.files.items import Item, Problem, Row, fingerprint
from imports.jobs.drafts import collection_names_of, tags_of
from tests.imports import samples

FILES = Path(__file__).parent / "files"
MAY_2014 = datetime(2014, 5, 13, 16, 53, 20, tzinfo=UTC)
LINKS = {
    "chrome": samples.CHROME,
    "firefox": samples.FIREFOX,
    "pinboard": samples.PINBOARD,
    "csv pocket": samples.POCKET,
    "csv raindrop": samples.RAINDROP,
    "csv instapaper": samples.INSTAPAPER,
    "csv semicolons": samples.SEMICOLONS,
    "json_feed": samples.JSON_FEED,
    "list": samples.LIST,
}
REFERENCES = {
    "csl": samples.CSL,
    "ris": samples.RIS,
    "bibtex": samples.BIBTEX,
    "zotero": samples.ZOTERO,
    "nbib": samples.NBIB,
    "enw": samples.ENW,
    "wos": samples.WOS,
    "endnote": samples.ENDNOTE,
    "dublin_core": samples.DUBLIN_CORE,
}


def read(content: bytes, name: str = "") -> tuple[str, list[Row]]:
    """Return the format and the rows of a file."""
    known, found = rows(Document(content), name)
    return known.name, list(found)


@pytest.mark.parametrize("name", LINKS)
def test_links_are_read_from_every_format(name: str) -> None:
    found, items = read(LINKS[name])

    assert found == name.split(maxsplit=1)[0]
    # Firefox's own search among them cannot be saved, and is said so when it is added.
    one, two = [row for row in items if isinstance(row, Item) and row.url[:5] == "https"]
    assert (one.url, two.url) == ("https://example.org/1", "https://example.org/2")
    if found != "list":
        assert one.title == "One"
    if found not in ("list", "chrome", "csv") or "instapaper" in name or "pocket" in name:
        assert one.added_at == MAY_2014
    if found not in ("list", "chrome", "csv"):
        assert tags_of(one.tags) == ["a", "b"]


def test_folders_notes_and_who_may_see_a_link_are_read_where_they_are() -> None:
    def first(content: bytes) -> Item:
        (item, *_) = (row for row in read(content)[1] if isinstance(row, Item))
        return item

    def last(content: bytes) -> Item:
        (*_, item) = (row for row in read(content)[1] if isinstance(row, Item))
        return item

    assert collection_names_of(last(samples.CHROME)) == ["Work / Later"]
    assert collection_names_of(last(samples.FIREFOX)) == ["Work"]
    assert collection_names_of(first(samples.RAINDROP)) == ["Work / Later"]
    assert collection_names_of(first(samples.INSTAPAPER)) == ["Work"]
    assert first(samples.RAINDROP).text == "A note,\nof two lines"
    assert first(samples.JSON_FEED).text == "A note"
    assert [first(samples.PINBOARD).private, last(samples.PINBOARD).private] == [True, False]


@pytest.mark.parametrize("name", REFERENCES)
def test_a_reference_is_the_same_in_whatever_format_it_comes(name: str) -> None:
    found, items = read(REFERENCES[name])

    (item,) = items
    assert isinstance(item, Item)
    assert found == name
    assert (item.source, item.guid) == (
        "reference",
        f"doi:10.1000/abc#{fingerprint('onreading', '1')}",
    )
    assert item.url == "https://doi.org/10.1000/ABC"
    assert tags_of(item.tags) == ["a", "b"]
    assert item.reference["title"].lower() == "on reading"
    assert item.reference["author"] == [{"family": "Munro", "given": "Alice"}]
    assert item.reference["issued"] == {"date-parts": [[2004, 7]]}
    assert {"container-title": "The Journal", "volume": "3", "page": "1-9"}.items() <= (
        item.reference.items()
    )
    if name == "zotero":
        assert (collection_names_of(item), item.text) == (["Work / Later"], "A note")


def test_the_bibliography_of_tugboat() -> None:
    found, items = read((FILES / "tugboat.bib").read_bytes())

    references = [row for row in items if isinstance(row, Item)]
    assert (found, len(items), len(references)) == ("bibtex", 2720, 2720)
    assert len([item for item in references if item.title]) == 2717
    assert not [item for item in references if "\\'" in item.title or "{" in item.title[:1]]
    assert sum("author" in item.reference for item in references) > 2000
    first = references[0]
    assert (first.line, first.title) == (154, "Editor's Comments")
    assert first.reference["issued"] == {"date-parts": [[1980, 10]]}
    assert len({item.guid for item in references}) == 2720


def test_a_readers_subscriptions() -> None:
    found, items = read((FILES / "opml" / "top100.opml").read_bytes())

    assert (found, len(items)) == ("opml", 100)
    assert all(isinstance(row, Item) and row.feed.startswith("http") for row in items)


@pytest.mark.parametrize(
    "path", sorted((FILES / "feeds").glob("*.xml")), ids=lambda path: path.stem
)
def test_feeds_are_read_as_far_as_they_can_be(path: Path) -> None:
    document = Document(path.read_bytes(), "https://example.org/feed")
    try:
        known, found = rows(document)
        items = list(found)
    except Unreadable as reason:
        if reason.code not in ("entities", "not_text", "unknown_format"):
            raise
        return

    assert known.name == "feed"
    assert all(isinstance(row, Item | Problem) for row in items)
    assert {row.source for row in items if isinstance(row, Item)} <= {"https://example.org/feed"}


def test_the_entries_of_a_feed() -> None:
    (item,) = read((FILES / "feeds" / "atomthreadingwithentry.xml").read_bytes())[1]

    assert isinstance(item, Item)
    assert item.guid
    assert item.line > 1


def test_a_feed_that_is_not_well_formed_gives_its_entries_and_says_where_it_is_not() -> None:
    name = "rss_item_link_corrupted_ampersands.xml"
    found = read((FILES / "feeds" / name).read_bytes())[1]

    (item,) = (row for row in found if isinstance(row, Item))
    assert item.url == "http://link/get?a=1&b=2"


def test_a_broken_entry_costs_its_neighbours_nothing() -> None:
    good = b"@book{%s, title={Title %s}, year=2000}\n"
    content = good % (b"a", b"a") + b"@book{b, title={never closed\n" + good % (b"c", b"c")

    found = read(content)[1]

    assert [type(row) for row in found] == [Item, Problem, Item]
    assert [row.line for row in found] == [1, 2, 3]


def test_macros_names_and_accents_of_bibtex() -> None:
    content = rb"""@string{p = "Press of " # {Z\"urich}}
@book{a, title = {{\'E}tudes \& {\ss} $x^2$}, publisher = p,
  editor = {von {M\"u}ller, Jr, Ann and {CERN}},
  year = {1999}, month = "3", url = {http://example.org/a\_b}}"""

    (item,) = read(content)[1]

    assert isinstance(item, Item)
    assert item.title == "Études & ß x²"
    assert item.reference["publisher"] == "Press of Zürich"
    assert item.reference["editor"] == [
        {"family": "Müller", "given": "Ann", "suffix": "Jr", "non-dropping-particle": "von"},
        {"literal": "CERN"},
    ]
    assert item.reference["issued"] == {"date-parts": [[1999, 3]]}
    assert item.url == "http://example.org/a_b"


def test_every_format_is_told_from_every_other() -> None:
    shown = {name.split()[0]: content for name, content in (LINKS | REFERENCES).items()}
    shown["html"] = b'<DT><A HREF="https://example.org/">A</A>'
    shown["posts"] = b"<posts/>"
    shown["json"] = b'[{"url": "https://example.org/", "title": "A"}]'
    shown["zotero_json"] = b'{"items": [{"itemType": "book", "title": "A"}]}'
    shown["opml"] = b"<opml/>"
    shown["feed"] = b"<rss/>"
    shown["commonplace"] = b'{"commonplace": 1}'

    assert {name: rows(Document(content))[0].name for name, content in shown.items()} == {
        name: name for name in FORMATS
    }


def test_one_dublin_core_creator_may_list_several_people() -> None:
    listed = b"""<dc:creator><rdf:Seq>
        <rdf:li><foaf:Person><foaf:familyName>Munro</foaf:familyName>
            <foaf:givenName>Alice</foaf:givenName></foaf:Person></rdf:li>
        <rdf:li><foaf:Person><foaf:givenName>Anne</foaf:givenName>
            <foaf:familyName>Carson</foaf:familyName></foaf:Person></rdf:li>
        <rdf:li>Atwood, Margaret</rdf:li></rdf:Seq></dc:creator>"""
    one = b"<dc:creator>Munro, Alice</dc:creator>"
    head = b'<rdf:RDF xmlns:foaf="http://xmlns.com/foaf/0.1/"'

    content = samples.DUBLIN_CORE.replace(one, listed).replace(b"<rdf:RDF", head, 1)
    _, (item,) = read(content)

    assert isinstance(item, Item)
    people = [(name["family"], name["given"]) for name in item.reference["author"]]
    assert people == [("Munro", "Alice"), ("Carson", "Anne"), ("Atwood", "Margaret")]
