"""What tells two references apart that share an address or a DOI, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from imports.files.bibliography import is_different_work, reference_item
from imports.files.items import Item

BOOK = "https://example.org/book"


def item(**fields: Any) -> Item:
    return reference_item(line=1, fields=fields, url=fields.pop("url", ""))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": "Chapter one"}, {"title": "Chapter two"}),
        ({"title": "Editorial", "page": "1-2"}, {"title": "Editorial", "page": "301-302"}),
        ({"title": "The book", "type": "book"}, {"title": "The book", "type": "chapter"}),
        ({"title": "Part 1: Air"}, {"title": "Part 1: Water"}),
        ({"title": "Ice"}, {"title": "Iceland"}),
    ],
)
def test_chapters_of_one_book_are_works_of_their_own(one: Any, other: Any) -> None:
    assert is_different_work(one, other)
    assert is_different_work(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"title": "On Réading!"}, {"title": "on reading"}),
        ({"title": "On reading: a history"}, {"title": "On reading"}),
        ({"title": "On reading", "page": "1-9"}, {"title": "On reading"}),
        ({"title": "On reading", "page": "1-9"}, {"title": "On reading", "page": "1–9"}),
        ({"title": "On reading", "type": "webpage"}, {"title": "On reading", "type": "book"}),
        ({}, {"title": "On reading"}),
    ],
)
def test_one_work_in_two_spellings_is_one_work(one: Any, other: Any) -> None:
    assert not is_different_work(one, other)
    assert not is_different_work(other, one)


@pytest.mark.parametrize("shared", [{"url": BOOK}, {"DOI": "10.1000/book"}])
def test_a_title_and_a_first_page_are_part_of_what_a_reference_is_known_by(shared: Any) -> None:
    guids = {
        item(**shared, title="Chapter one").guid,
        item(**shared, title="Chapter two").guid,
        item(**shared, title="Chapter two", page="7-8").guid,
    }

    assert len(guids) == 3
    again = item(**shared, title="CHAPTER TWO.", page="7–8", volume="1", author=["Doe"])
    assert again.guid in guids


def test_a_reference_without_an_address_gets_the_one_of_its_doi_or_pmid() -> None:
    assert item(DOI="10.1000/A(1)b").url == "https://doi.org/10.1000/A(1)b"
    assert item(PMID="12345678").url == "https://pubmed.ncbi.nlm.nih.gov/12345678/"
    assert item(PMID="none").url == ""
