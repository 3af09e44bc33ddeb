"""Works that registries know, in the shapes in which they answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import User
from eventbook.models import Delivery, Event
from eventbook.work.execution import Later
from outside.errors import ErrorStatus
from pages.metadata import services
from pages.metadata.registries import REGISTRIES, NotInRegistry
from pages.models import Metadata, Url
from tests.conftest import Drain
from tests.pages.metadata.web import Web

Client = Callable[[Any], APIClient]
RECORDED = Path(__file__).parent / "registries"
STRUCTURE = "/crossref/works/10.1038%2F171737a0"
ATTENTION = "/datacite/dois/10.48550%2Farxiv.1706.03762"
ENTRY = "/arxiv/api/query?max_results=1&id_list=1706.03762"
FINDINGS = "/pubmed/entrez/eutils/esummary.fcgi?db=pubmed&retmode=json&id=16060722"
BOOK = "/openlibrary/api/books?format=json&jscmd=data&bibkeys=ISBN:9780262033848"


@pytest.fixture
def registered(web: Web) -> Web:
    """The web, with a registry of each kind that knows one work."""
    for path, name in {
        STRUCTURE: "crossref.json",
        ATTENTION: "datacite.json",
        ENTRY: "arxiv.xml",
        FINDINGS: "pubmed.json",
        BOOK: "openlibrary.json",
    }.items():
        web.has(path, (RECORDED / name).read_bytes())
    return web


def test_each_registry_tells_of_a_work_in_the_same_terms(registered: Web) -> None:
    expected = {
        ("crossref", "10.1038/171737a0"): {
            "title": "Molecular Structure of Nucleic Acids: "
            "A Structure for Deoxyribose Nucleic Acid",
            "authors": ["J. D. WATSON", "F. H. C. CRICK"],
            "published": "1953-04",
            "journal": "Nature",
            "publisher": "Springer Science and Business Media LLC",
            "volume": "171",
            "issue": "4356",
            "pages": "737-738",
            "doi": "10.1038/171737a0",
        },
        ("datacite", "10.48550/arxiv.1706.03762"): {
            "title": "Attention Is All You Need",
            "authors": ["Ashish Vaswani", "Noam Shazeer", "Niki Parmar"],
            "published": "2017",
            "publisher": "arXiv",
            "description": "Proposes an architecture based solely on attention.",
            "arxiv": "1706.03762",
            "doi": "10.48550/arxiv.1706.03762",
        },
        ("arxiv", "1706.03762"): {
            "title": "Attention Is All You Need",
            "authors": ["Ashish Vaswani", "Noam Shazeer", "Niki Parmar"],
            "published": "2017-06-12",
            "modified": "2023-08-02",
            "description": "Proposes an architecture based solely on attention.",
            "pdf": "https://arxiv.org/pdf/1706.03762",
            "arxiv": "1706.03762",
        },
        ("pubmed", "16060722"): {
            "title": "Why most published research findings are false",
            "authors": ["J. P. Ioannidis"],
            "published": "2005-08",
            "journal": "PLoS medicine",
            "volume": "2",
            "issue": "8",
            "pages": "e124",
            "doi": "10.1371/journal.pmed.0020124",
            "pmid": "16060722",
        },
        ("openlibrary", "9780262033848"): {
            "title": "Introduction to algorithms",
            "authors": ["Thomas H. Cormen"],
            "published": "2009",
            "publisher": "MIT Press",
            "image": "https://covers.openlibrary.org/b/id/8413176-L.jpg",
            "isbn": "9780262033848",
        },
    }

    found = {asked: REGISTRIES[asked[0]].look_up(asked[1]) for asked in expected}

    assert found == expected


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{}", b"[]", b"null", b"{", b"<feed/>", b"<html>", b'{"message": null}', b"\xff"),
        *(b'{"message": {"title": {}}}', b'{"data": {"attributes": {"titles": []}}}', b'{"a": 1}'),
        b'<!DOCTYPE feed [<!ENTITY a "b">]><feed xmlns="http://www.w3.org/2005/Atom">&a;</feed>',
        b"[" * 100_000,
        b'{"result": {"uids": ["16060722"], "16060722": {"error": "cannot get document summary"}}}',
        b'{"result": {"16060722": {"title": "A", "articleids": [{}]}}}',
    ],
)
def test_a_response_in_another_format_is_no_record_and_is_logged(
    web: Web, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    for registry, path, identifier in (
        ("crossref", STRUCTURE, "10.1038/171737a0"),
        ("datacite", ATTENTION, "10.48550/arxiv.1706.03762"),
        ("arxiv", ENTRY, "1706.03762"),
        ("pubmed", FINDINGS, "16060722"),
        ("openlibrary", BOOK, "9780262033848"),
    ):
        web.has(path, body)

        caplog.clear()

        with pytest.raises(NotInRegistry) as unknown:
            REGISTRIES[registry].look_up(identifier)

        logged = [record.message for record in caplog.records]
        is_unexpected = "unexpected format" in str(unknown.value)
        assert logged == ["registry.unexpected_response"] * is_unexpected


@pytest.mark.django_db(transaction=True)
def test_a_page_that_says_little_is_completed_by_the_registry_of_its_identifier(
    registered: Web, alice: User, client_of: Client, drain: Drain
) -> None:
    client = client_of(alice)
    # A publisher that turns programs away; a preprint in a file; one that Crossref doesn't have.
    bodies = {
        "/doi/full/10.1038/171737a0": ("", 403),
        "/dp/0262033844": ("<title>Buy it</title><meta property=og:image content=/a.png>", 200),
        "/doi/10.48550/ARXIV.1706.03762v1": ("", 404),
        "/medicine": ("<meta name=citation_pmid content=16060722>", 200),
    }
    cards = {}
    for path, (body, status) in bodies.items():
        url = registered.has(path, body, status)
        cards[path] = client.post("/api/v1/cards/", {"type": "URL", "url": url}).json()["id"]

    drain()

    found = {
        path: client.get(f"/api/v1/cards/{id}/").json()["metadata"] for path, id in cards.items()
    }
    structure, book, preprint, findings = found.values()
    assert (structure["status"], structure["volume"]) == ("failed", "171")
    assert (book["title"], book["publisher"]) == ("Introduction to algorithms", "MIT Press")
    assert (preprint["title"], preprint["published"]) == ("Attention Is All You Need", "2017-06-12")
    assert (findings["authors"], findings["volume"]) == (["J. P. Ioannidis"], "2")
    assert Metadata.objects.get(doi="10.1038/171737a0").title == structure["title"]
    assert set(Delivery.objects.values_list("state", flat=True)) == {"done"}


@pytest.mark.django_db(transaction=True)
def test_a_work_that_crossref_does_not_know_is_asked_of_datacite(
    registered: Web, drain: Drain
) -> None:
    url = known_page()

    services.consult_registry(
        url_id=url.pk,
        registry="crossref",
        identifier="10.48550/arxiv.1706.03762",
        age=timedelta(),
    )
    drain()

    known = Metadata.objects.get()
    assert (known.registry, known.title) == ("datacite", "Attention Is All You Need")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("<meta name=citation_conference_title content=Proceedings>", []),
        ("<meta name=citation_doi content=10.1000/1>", ["crossref"]),
        ("", ["openlibrary"]),
    ],
)
def test_a_paper_is_not_looked_up_by_the_isbn_of_its_proceedings(
    web: Web, more: str, asked: list[str]
) -> None:
    address = web.has(
        "/page", f"<title>A</title><meta name=citation_isbn content=0262033844>{more}"
    )
    url = Url.objects.create(canonical=address.replace("http:", "https:"), host="127.0.0.1")

    services.fetch_page(url_id=url.pk)

    told = Event.objects.filter(type="page.identified").values_list("data__registry", flat=True)
    assert list(told) == asked


@pytest.mark.django_db
def test_a_registry_that_is_away_is_waited_for_and_then_shown_to_operators(web: Web) -> None:
    url = known_page()
    web.has(STRUCTURE, status=429, Retry_After="7")
    wanted: dict[str, Any] = {
        "url_id": url.pk,
        "registry": "crossref",
        "identifier": "10.1038/171737a0",
    }

    with pytest.raises(Later) as later:
        services.consult_registry(**wanted, age=timedelta(hours=1))
    with pytest.raises(ErrorStatus):
        services.consult_registry(**wanted, age=timedelta(days=2))

    assert later.value.seconds == 7
    assert Event.objects.filter(type="page.identified").count() == 0


def known_page() -> Url:
    url = Url.objects.create(canonical="https://example.org/", host="example.org")
    Metadata.objects.create(url=url, expires_at="2100-01-01T00:00:00Z")
    return url


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("names", "registry"), [("10.1038/171737a0", "crossref"), ("10.1/b", "")])
def test_a_registry_that_answers_late_tells_of_the_work_that_the_page_names_now(
    registered: Web, names: str, registry: str
) -> None:
    url = known_page()
    Metadata.objects.filter(url=url).update(page_fields={"doi": names})

    services.consult_registry(
        url_id=url.pk, registry="crossref", identifier="10.1038/171737a0", age=timedelta()
    )

    assert Metadata.objects.get().registry == registry
