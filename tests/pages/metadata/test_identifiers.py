from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.metadata import identifiers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1000/182", "10.1000/182"),
        ("doi:10.1038/171737A0", "10.1038/171737a0"),
        ("https://doi.org/10.1371%2Fjournal.pmed.0020124", "10.1371/journal.pmed.0020124"),
        ("(see https://dx.doi.org/10.1000/182).", "10.1000/182"),
        ("10.1016/S0140-6736(05)67728-8", "10.1016/s0140-6736(05)67728-8"),
        ("[10.1000/a(b)]", "10.1000/a(b)"),
        ("10.1000.10/123456", "10.1000.10/123456"),
        ("10.1000/", ""),
        ("10.12/3", ""),
        ("110.1000/182", ""),
        ("", ""),
        ("10.1000/" + "a" * 300, ""),
    ],
)
def test_a_doi_is_found_in_any_spelling(text: str, expected: str) -> None:
    assert identifiers.doi(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1706.03762", "1706.03762"),
        ("arXiv:1706.03762v7", "1706.03762"),
        ("hep-th/9711200", "hep-th/9711200"),
        ("math.GT/0309136v2", "math.gt/0309136"),
        ("10.48550/arXiv.1706.03762", "1706.03762"),
        ("1713.03762", ""),
        ("12345", ""),
    ],
)
def test_an_arxiv_id_has_a_month_and_loses_its_version(text: str, expected: str) -> None:
    assert identifiers.arxiv(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0-262-03384-4", "9780262033848"),
        ("978-0-262-03384-8", "9780262033848"),
        ("urn:isbn:9780262033848", "9780262033848"),
        ("ISBN-13: 978 0 262 03384 8", "9780262033848"),
        ("080442957X", "9780804429573"),
        ("9780262033849", ""),
        ("0262033845", ""),
        ("1234567890123", ""),
    ],
)
def test_an_isbn_adds_up_and_has_thirteen_digits(text: str, expected: str) -> None:
    assert identifiers.isbn(text) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://doi.org/10.1038/171737a0", {"doi": "10.1038/171737a0"}),
        (
            "https://onlinelibrary.wiley.com/doi/full/10.1002/j.1538-7305.1948.tb01338.x",
            {"doi": "10.1002/j.1538-7305.1948.tb01338.x"},
        ),
        (
            "https://www.tandfonline.com/doi/pdf/10.1080/00048402.2017.1/abstract?x=1",
            {"doi": "10.1080/00048402.2017.1"},
        ),
        (
            "https://journals.plos.org/plosmedicine/article?id=10.1371/journal.pmed.0020124",
            {"doi": "10.1371/journal.pmed.0020124"},
        ),
        (
            "https://www.biorxiv.org/content/10.1101/2020.01.01.123456v2.full.pdf",
            {"doi": "10.1101/2020.01.01.123456"},
        ),
        (
            "https://link.springer.com/content/pdf/10.1007/978-3-319-24277-4.pdf",
            {"doi": "10.1007/978-3-319-24277-4"},
        ),
        ("https://arxiv.org/pdf/1706.03762v7.pdf", {"arxiv": "1706.03762"}),
        ("https://arxiv.org/abs/hep-th/9711200", {"arxiv": "hep-th/9711200"}),
        (
            "https://doi.org/10.48550/arXiv.1706.03762",
            {"doi": "10.48550/arxiv.1706.03762", "arxiv": "1706.03762"},
        ),
        ("https://pubmed.ncbi.nlm.nih.gov/16060722/", {"pmid": "16060722"}),
        ("https://shop.example/Book/dp/0262033844/ref=x", {"isbn": "9780262033848"}),
        ("https://shop.example/Toy/dp/B00EXAMPLE", {}),
        ("https://example.org/abs/1706.03762", {}),
        ("https://example.org/", {}),
        ("no address", {}),
    ],
)
def test_an_address_tells_of_the_work_on_its_page(url: str, expected: dict[str, str]) -> None:
    assert identifiers.in_url(url) == expected


@given(st.text(max_size=200))
def test_what_was_found_is_found_again_in_itself(text: str) -> None:
    for read in identifiers.READERS.values():
        found = read(text)
        assert read(found) == found
