from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pages.canonical import MAX_LENGTH, InvalidUrl, canonical_url

SPELLINGS = {
    "https://example.org/": [
        "http://example.org",
        "HTTPS://EXAMPLE.org:443/",
        "http://example.org:80",
        "https://example.org./",
        "https://example.org/?",
        "https://example.org/#top",
        "https://example.org/a/..",
        "  https://example.org/\n",
        "https://example.org/?utm_source=mail&UTM_Medium=x&gclid=1&fbclid=2&mc_eid=3",
    ],
    "https://example.org/~alice/a%2Fb": [
        "https://example.org/%7ealice/a%2fb",
        "https://example.org/x/../%7Ealice/./a%2Fb",
    ],
    "https://example.org/?a=1&b=2&b=1": [
        "https://example.org/?b=2&a=1&b=1",
        "https://example.org/?&b=2&&b=1&a=1&",
        "https://example.org/?b=2&utm%5Fsource=x&b=1&a=1",
    ],
    "https://xn--mnchen-3ya.de/%C3%BC": ["http://MÜNCHEN.de/ü", "https://münchen.de/%c3%bc"],
    "https://example.org/#!/a": ["https://example.org#!/a", "http://example.org/#!/a:~:text=b"],
    "https://app.example.org/#/a": ["http://app.example.org/#/a", "https://app.example.org#/a"],
    "https://example.org/a/": ["https://example.org/a/index.html", "https://example.org/a/#/"],
    "https://example.org/a?x=1": [
        "https://example.org/a?ref=hn&x=1",
        "https://example.org/a?REF=hn&ref_=tt_ov&x=1",
        "https://example.org/a?x=1&ref=news.example.com&via=@doe&wprov=sfla1",
        "https://example.org/a?x=1&ref=https%3A%2F%2Fexample.com%2F",
        "https://example.org/a?x=1&amp=1",
        "https://www.google.com/amp/s/example.org/a?x=1",
        "https://example-org.cdn.ampproject.org/c/s/example.org/a?x=1",
    ],
    "https://[::1]/": ["http://[0:0:0:0:0:0:0:1]:80/"],
    "https://192.0.2.1/": ["http://192.0.2.1./", "http://0xC0.0.2.1"],
    "https://example.org/%2541": ["https://example.org/%%34%31"],
}


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [(spelling, expected) for expected, all in SPELLINGS.items() for spelling in all],
)
def test_a_page_has_one_identity_however_its_address_is_spelt(spelling: str, expected: str) -> None:
    assert canonical_url(spelling) == expected


# The first of each list is the one that stands for the work.
WORKS = [
    [
        "https://arxiv.org/abs/2101.00001",
        "http://arxiv.org/abs/2101.00001v1",
        "https://arxiv.org/pdf/2101.00001v2",
        "https://arxiv.org/pdf/2101.00001.pdf",
        "https://arxiv.org/html/2101.00001v1#S2",
        "https://export.arxiv.org/abs/2101.00001",
        "https://www.arxiv.org/abs/2101.00001?context=cs",
        "https://ar5iv.labs.arxiv.org/html/2101.00001",
        "https://doi.org/10.48550/arXiv.2101.00001",
        "http://dx.doi.org/10.48550/ARXIV.2101.00001",
    ],
    [
        "https://arxiv.org/abs/math/0309136",
        "https://arxiv.org/pdf/math/0309136v1.pdf",
        "https://arxiv.org/abs/math.GT/0309136",
        "https://arxiv.org/abs/math%2F0309136",
    ],
    [
        "https://doi.org/10.1000/abc",
        "http://dx.doi.org/10.1000/ABC",
        "https://www.doi.org/10.1000/AbC/",
        "https://doi.org/10.1000%2Fabc",
        "https://doi.org/doi:10.1000/abc",
        "https://doi.org/10.1000/abc?nosfx=y#top",
        "https://doi.acm.org/10.1000/abc",
        "https://hdl.handle.net/10.1000/abc",
        "https://oadoi.org/10.1000/ABC",
        "doi:10.1000/ABC",
        "info:doi/10.1000/abc",
    ],
    [
        "https://doi.org/10.1002/(sici)1(1998)17:15/16%3C1661::aid%3E3.0",
        "https://doi.org/10.1002/(SICI)1(1998)17:15/16<1661::AID>3.0",
        "https://doi.org/10.1002%2F%28SICI%291%281998%2917%3A15%2F16%3C1661%3A%3AAID%3E3.0",
    ],
    ["https://doi.org/10.1000/a%3Fb%23c%25d", "http://dx.doi.org/10.1000/A%3fB%23C%25D"],
    [
        "https://doi.org/10.1101/2020.01.01.123456",
        "https://www.biorxiv.org/content/10.1101/2020.01.01.123456v1",
        "https://www.biorxiv.org/content/10.1101/2020.01.01.123456v2.full.pdf",
    ],
    [
        "https://pubmed.ncbi.nlm.nih.gov/12345678/",
        "https://pubmed.ncbi.nlm.nih.gov/12345678",
        "http://www.ncbi.nlm.nih.gov/pubmed/12345678",
        "https://www.ncbi.nlm.nih.gov/m/pubmed/12345678/",
        "https://pubmed.ncbi.nlm.nih.gov/12345678/?from_term=x#abstract",
        "https://europepmc.org/article/MED/12345678",
        "https://pubmed.gov/12345678",
        "https://pubmed.ncbi.nlm.nih.gov/?term=12345678",
        "https://www.ncbi.nlm.nih.gov/pubmed/?term=12345678%5Buid%5D",
        "http://www.ncbi.nlm.nih.gov/entrez/query.fcgi?cmd=Retrieve&db=PubMed&list_uids=12345678",
    ],
    [
        "https://pmc.ncbi.nlm.nih.gov/articles/PMC123456/",
        "https://pmc.ncbi.nlm.nih.gov/articles/PMC123456",
        "https://www.ncbi.nlm.nih.gov/pmc/articles/PMC123456/",
        "https://www.ncbi.nlm.nih.gov/pmc/articles/pmc123456/pdf/paper.pdf",
        "https://www.ncbi.nlm.nih.gov/labs/pmc/articles/PMC123456/",
        "https://europepmc.org/articles/PMC123456",
        "https://europepmc.org/article/PMC/PMC123456",
    ],
    [
        "https://www.youtube.com/watch?v=abcdefghijk",
        "https://youtu.be/abcdefghijk?si=x",
        "https://youtu.be/abcdefghijk?t=42",
        "https://m.youtube.com/watch?v=abcdefghijk&feature=share",
        "https://youtube.com/shorts/abcdefghijk",
        "https://www.youtube.com/embed/abcdefghijk",
        "https://www.youtube-nocookie.com/embed/abcdefghijk?rel=0",
        "https://www.youtube.com/watch?list=PL0&index=3&v=abcdefghijk#t=9",
    ],
    [
        "https://en.wikipedia.org/wiki/Library",
        "https://en.m.wikipedia.org/wiki/Library",
        "https://en.m.wikipedia.org/wiki/Library?wprov=sfla1#History",
    ],
    ["https://www.wikidata.org/wiki/Q1", "https://m.wikidata.org/wiki/Q1"],
    ["https://twitter.com/doe/status/1", "https://mobile.twitter.com/doe/status/1?ref_src=x"],
]


@pytest.mark.parametrize("addresses", WORKS, ids=lambda addresses: addresses[0])
def test_the_addresses_of_one_work_are_one_page(addresses: list[str]) -> None:
    assert {canonical_url(address) for address in addresses} == {addresses[0]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://app.example.org/#/a", "https://app.example.org/#/b"),
        ("https://app.example.org/#/a", "https://app.example.org/"),
        ("https://hdl.handle.net/2027/a.1", "https://doi.org/2027/a.1"),
        ("https://pubmed.ncbi.nlm.nih.gov/?term=bees", "https://pubmed.ncbi.nlm.nih.gov/"),
        ("https://github.com/a/b/c?ref=main", "https://github.com/a/b/c?ref=dev"),
        ("https://gitlab.example.org/a?ref=main", "https://gitlab.example.org/a"),
        ("https://example.org/item.php?ref=abc", "https://example.org/item.php?ref=abd"),
        ("https://example.org/item?ref=123", "https://example.org/item?ref=124"),
        ("https://m.example.org/", "https://example.org/"),
        ("https://www.youtube.com/playlist?list=PL0", "https://www.youtube.com/playlist?list=PL1"),
        (
            "https://www.youtube.com/watch?v=abcdefghijk",
            "https://www.youtube.com/watch?v=abcdefghijK",
        ),
        ("https://arxiv.org/list/cs/recent", "https://arxiv.org/list/math/recent"),
        ("https://doi.org/10.1000/abc", "https://doi.org/10.1000/abd"),
        ("https://doi.org:8443/10.1000/ABC", "https://doi.org/10.1000/ABC"),
        (
            "https://pmc.ncbi.nlm.nih.gov/articles/PMC1/figure/F1/",
            "https://pmc.ncbi.nlm.nih.gov/articles/PMC1/",
        ),
        ("https://example.org/a", "https://example.org/a/"),
        ("https://example.org/a", "https://example.org/A"),
        ("https://example.org/", "https://www.example.org/"),
        ("https://example.org/", "https://example.org:8080/"),
        ("https://example.org/?a=1&a=2", "https://example.org/?a=2&a=1"),
        ("https://example.org/#!/a", "https://example.org/#!/b"),
        ("https://example.org/a%2Fb", "https://example.org/a/b"),
    ],
)
def test_pages_that_may_differ_keep_their_own_identities(one: str, other: str) -> None:
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not a web address"),
        ("example.org", "not a web address"),
        ("//example.org/", "not a web address"),
        ("http://", "not a web address"),
        ("https://exa mple.org", "not a web address"),
        ("https://example.org:99999/", "not a web address"),
        ("https://./", "not a web address"),
        ("https://example.org/\ud800", "not a web address"),
        ("javascript:alert(1)", "Only http and https"),
        ("ftp://example.org/", "Only http and https"),
        ("https://alice:secret@example.org/", "user name or password"),
        ("https://example.org/\x00", "control characters"),
        ("https://example.org/" + "a" * MAX_LENGTH, "longer than"),
        ("https://example.org/" + "ü" * (MAX_LENGTH // 4), "longer than"),
        ("https://" + "a." * 200 + "org/", "too long"),
        ("http://a..b/", "empty part"),
        ("http://.example.org/", "empty part"),
        ("http://example.org../", "empty part"),
        ("http://" + "a" * 64 + ".org/", "more than 63"),
        ("doi:abc", "Only http and https"),
    ],
)
def test_what_is_not_the_address_of_a_page_is_refused_with_the_reason(
    url: str, reason: str
) -> None:
    with pytest.raises(InvalidUrl, match=reason):
        canonical_url(url)


PARTS = st.text(
    alphabet=string.ascii_letters + string.digits + "%/?#!&=+;:@.~-_|'[]^ü 2eE5", max_size=60
)


HOSTS = [
    "example.org", "ÜBER.de.", "1.2.3.4", "[::1]", "doi.org", "arxiv.org", "youtu.be",
    "www.youtube.com", "en.m.wikipedia.org", "www.google.com/amp/s", "github.com",
    "doi.org/10.1000", "www.ncbi.nlm.nih.gov/pmc/articles", "old.reddit.com",
]  # fmt: skip


@given(host=st.sampled_from(HOSTS), rest=PARTS)
def test_the_canonical_url_of_a_canonical_url_is_itself(host: str, rest: str) -> None:
    try:
        once = canonical_url(f"http://{host}/{rest}")
    except InvalidUrl:  # of what an AMP cache has copied
        assert "amp" in host
        return

    assert canonical_url(once) == once


@given(st.text(max_size=80))
def test_any_text_is_a_page_or_an_invalid_url(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.org/{text}"):
        try:
            once = canonical_url(url)
        except InvalidUrl:
            continue
        assert canonical_url(once) == once
        assert once.isascii()
