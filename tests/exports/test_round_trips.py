"""What is exported and brought into an empty library is the same library, where a format can."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from cards import services
from cards.models import Card, Collection
from cards.services import CardDraft
from exports.formats import FORMATS
from imports.models import FeedSubscription, ImportProblem
from imports.services import subscribe_to
from tests.imports.conftest import ImportFile as Bring
from tests.imports.conftest import bring

__all__ = ["bring"]
Client = Callable[[Any], APIClient]
pytestmark = pytest.mark.django_db(transaction=True)
SAVED = datetime(2014, 5, 6, 7, 8, 9, tzinfo=UTC)
ODD = 'Ünïcode & <b>"quotes"</b> 100% $5 #1 a_b ~c^d \\e {f} – 漢字'
PAPER = {
    "type": "article-journal",
    "title": ODD,
    "container-title": "Journal of R&D",
    "author": [
        {"family": "Müller", "given": "Ann Marie"},
        {"family": "Beethoven", "given": "Ludwig", "non-dropping-particle": "van"},
        {"literal": "CERN & Co Collaboration"},
    ],
    "issued": {"date-parts": [[2020, 3, 7]]},
    "volume": "12",
    "issue": "3",
    "page": "100-110",
    "DOI": "10.1000/182(x)_y",
    "ISSN": "0896-3207",
    "abstract": "Of 50 % and more.",
    "publisher": "Press",
}
REFERENCES: list[dict[str, Any]] = [
    {"type": "book", "title": "A book", "author": [{"family": "Eco", "given": "U."}]},
    {
        "type": "book",
        "title": "DNA in Paris: iPhones, McDonald & E. coli",
        "editor": [
            {"family": "Cruz", "given": "Ana", "non-dropping-particle": "de la"},
            {"literal": "Barnes and Noble"},
        ],
        "translator": [{"family": "Roe", "given": "R.", "suffix": "Jr."}],
        "issued": {"date-parts": [[1999]]},
        "ISBN": "978-3-16-148410-0",
        "collection-title": "A Series",
        "volume": "2",
        "edition": "3rd",
        "publisher": "P & Q",
        "publisher-place": "Rome",
        "language": "en",
    },
    {
        "type": "chapter",
        "title": "A chapter of {braces, -- and ``quotes''",
        "author": [{"family": "Doe", "given": "Jane"}],
        "editor": [{"family": "Roe", "given": "Ann"}],
        "container-title": "The Book of Kells",
        "page": "12-15",
        "issued": {"date-parts": [[2004, 12]]},
    },
    {
        "type": "paper-conference",
        "title": "A paper",
        "container-title": "Proceedings of X",
        "event-title": "X 2004",
    },
    {"type": "report", "title": "R", "number": "TR-1", "publisher": "I", "genre": "White paper"},
    {"type": "thesis", "title": "Th", "genre": "PhD thesis", "publisher": "MIT"},
    {"type": "thesis", "title": "Ma", "genre": "Master's thesis", "publisher": "MIT"},
    {"type": "thesis", "title": "Of no kind"},
    {"type": "patent", "title": "Pa", "number": "US123"},
    {"type": "standard", "title": "St", "number": "ISO 8601"},
    {"type": "dataset", "title": "Da", "publisher": "Zenodo"},
    {"type": "software", "title": "So", "edition": "1.0"},
    {"type": "article-magazine", "title": "Mag", "container-title": "The Weekly", "page": "e5"},
    {"type": "article-newspaper", "title": "News", "container-title": "The Daily"},
    {"type": "manuscript", "title": "Man", "abstract": "Several\n\nlines.\nTY  - of all kinds"},
    {"type": "article-journal", "title": "Pm", "PMID": "12345", "container-title": "J"},
]


def fill(owner: User) -> None:
    """Create a small library with a card of every kind."""
    reading = services.create_collection(owner=owner, name="A / B, and C", description="Of both")
    own = services.create_collection(
        owner=owner, name="Own", description="Of mine", visibility="PRIVATE"
    )
    drafts = [
        CardDraft(
            type="URL",
            url="https://example.org/?a=1&b=2",
            title=ODD,
            text='Two\nlines, "x" & <y>',
            tags=["one tag", "c++"],
            collections=[reading.pk, own.pk],
            created_at=SAVED,
        ),
        CardDraft(type="URL", url="https://example.org/b", visibility="PRIVATE", created_at=SAVED),
        CardDraft(type="NOTE", title="=1+1", text="'quoted'", tags=["x"], created_at=SAVED),
        CardDraft(
            type="NOTE",
            title="＝1+1",
            text="@x",
            tags=["a; b", "#c"],
            created_at=SAVED,
            visibility="PRIVATE",
        ),
        CardDraft(
            type="URL",
            url="https://example.org/c",
            tags=["two words"],
            collections=[own.pk],
            visibility="PRIVATE",
            created_at=SAVED,
        ),
        CardDraft(
            type="REFERENCE",
            title=ODD,
            reference=PAPER,
            url="https://doi.org/10.1000/182(x)_y",
            tags=["physics"],
            text="Read it.",
            created_at=SAVED,
        ),
        *(
            CardDraft(
                type="REFERENCE",
                title=reference["title"],
                reference=reference,
                url=f"https://pubmed.ncbi.nlm.nih.gov/{reference.get('PMID')}/"
                if "PMID" in reference
                else "",
                text="Two\nlines,\n\nand a third" if place % 2 else "",
                tags=["g"]
                if "PMID" in reference  # which has an address, and so is in formats of links
                else ["a, b", "c; d", 'e" f'][: 1 + 2 * (place % 2)],
                visibility="PRIVATE" if place % 2 else "PUBLIC",
                created_at=SAVED,
            )
            for place, reference in enumerate(REFERENCES)
        ),
    ]
    outcomes: list[Any] = services.add_cards(curator=owner, drafts=drafts)
    first, note = outcomes[0].card, outcomes[2].card
    services.update_card(card=first, parent=note.pk)
    subscribe_to(owner=owner, url="https://example.org/feed", title="A feed")
    subscribe_to(
        owner=owner, url="https://example.org/own", collection=own.pk, visibility="PRIVATE"
    )


HOLDS = {
    "json": "type link title text tags reference visibility created_at collections parent",
    "csv": "link title text tags visibility created_at collections",
    "html": "link title text tags visibility created_at collections",
    "opml": "link title text tags visibility created_at collections",
    "bibtex": "link title text tags reference visibility",
    "ris": "link title text tags reference visibility",
    "csl": "link title text tags reference visibility",
}
# What it holds of collections.
COLLECTIONS = {
    "json": "name description visibility",
    "html": "name description visibility",
    "opml": "name description visibility",
    "csv": "name visibility",
}
# What a format is for: the others have no place in it.
KEPT = {
    "json": {"URL", "NOTE", "REFERENCE"},
    "csv": {"URL", "NOTE", "REFERENCE"},
    "html": {"URL"},
    "opml": {"URL"},
    "bibtex": {"REFERENCE"},
    "ris": {"REFERENCE"},
    "csl": {"REFERENCE"},
}


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_an_export_brought_into_an_empty_library_is_the_same_library(
    alice: User, bob: User, client_of: Client, bring: Bring, format: str
) -> None:
    fill(alice)
    exported = client_of(alice).get(f"/api/v1/exports/?format={format}")
    content = exported.getvalue()

    done = bring(bob, content)

    assert (done["status"], done["counts"]["failed"]) == ("done", 0), list(
        ImportProblem.objects.values_list("row", "detail")
    )
    assert library(bob, format) == library(alice, format)
    if format in ("json", "opml"):
        assert subscriptions(bob) == subscriptions(alice)
    if format in COLLECTIONS:
        named = Collection.objects.filter(owner=bob).values_list(*COLLECTIONS[format].split())
        wanted = Collection.objects.filter(owner=alice).values_list(*COLLECTIONS[format].split())
        assert set(named) == set(wanted)


def library(owner: User, format: str) -> list[dict[str, Any]]:
    """Return the part of a library that a format can express."""
    cards = Card.objects.filter(curator=owner).order_by("id")
    kept = [card for card in cards if card.type in KEPT[format] or (card.link and format != "csl")]
    if KEPT[format] == {"REFERENCE"}:
        kept = [card for card in kept if card.type == "REFERENCE" and "title" in card.reference]
        kept = [card for card in kept if card.reference.get("type") != "webpage"]
    if format in ("html", "opml"):
        kept = sorted((card for card in kept if card.link), key=lambda card: card.link)
    return [{name: part(card, name) for name in HOLDS[format].split()} for card in kept]


def subscriptions(owner: User) -> set[tuple[Any, ...]]:
    """Return what is kept of subscriptions."""
    names = {str(found.pk): found.name for found in Collection.objects.filter(owner=owner)}
    return {
        (
            found.feed.url,
            found.title or found.feed.url,
            names.get(found.options.get("collection", "")),
            found.options.get("visibility"),
        )
        for found in FeedSubscription.objects.filter(owner=owner)
    }


def part(card: Card, name: str) -> Any:
    """Return one part of a card in a form that can be compared between libraries."""
    if name == "parent":
        return card.parent and (card.parent.title, card.parent.link)
    if name == "collections":
        return sorted(card.places.values_list("collection__name", flat=True))
    if name == "title":
        return card.title or card.link
    return getattr(card, name)


def test_ones_own_export_adds_nothing(alice: User, client_of: Client, bring: Bring) -> None:
    fill(alice)
    before = Card.objects.count()
    content = client_of(alice).get("/api/v1/exports/?format=json").getvalue()

    done = bring(alice, content)

    assert (done["counts"]["added"], done["counts"]["failed"]) == (0, 0)
    assert Card.objects.count() == before


def test_an_export_finds_words_as_the_library_does(alice: User, client_of: Client) -> None:
    for title in ("The tree of life", "Life of a cell", "A tree"):
        services.add_card(curator=alice, type="NOTE", title=title, text=title)
    client = client_of(alice)

    exported = json.loads(client.get("/api/v1/exports/?format=json&q=life+tree").getvalue())
    listed = client.get("/api/v1/cards/?q=life+tree").json()["results"]

    assert [card["title"] for card in exported["cards"]] == ["The tree of life"]
    assert [card["title"] for card in listed] == ["The tree of life"]
    assert client.get("/api/v1/exports/?format=json&q=" + "a+" * 11).status_code == 400


def test_a_dry_run_of_ones_own_export_adds_nothing(
    alice: User, client_of: Client, bring: Bring
) -> None:
    fill(alice)
    FeedSubscription.objects.all().delete()  # a dry run doesn't look for subscriptions
    content = client_of(alice).get("/api/v1/exports/?format=json").getvalue()

    dry, real = (bring(alice, content, dry_run=dry)["counts"] for dry in ("true", "false"))

    names = ("added", "known", "merged", "failed")
    assert [dry[name] for name in names] == [real[name] for name in names]
